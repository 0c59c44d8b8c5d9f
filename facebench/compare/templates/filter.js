// Show the boards that match every selected filter.
const form = document.querySelector("form.filters");
const filter = () => {
  for (const section of document.querySelectorAll("section")) {
    section.hidden = [...form.elements].some((field) => field.value && field.value !== section.dataset[field.name]);
  }
};
form.addEventListener("change", filter);
filter(); // a reloaded page restores the form
