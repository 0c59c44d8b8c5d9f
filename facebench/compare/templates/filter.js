// Boards show when they agree with every filter that is set.
const form = document.querySelector("form.filters");
const filter = () => {
  for (const section of document.querySelectorAll("section")) {
    section.hidden = [...form.elements].some((field) => field.value && field.value !== section.dataset[field.name]);
  }
};
form.addEventListener("change", filter);
filter(); // a reloaded page keeps the choices of its form
