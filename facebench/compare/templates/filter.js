// Show the boards that match every selected filter, and in each board the models that match the search and the tags.
const form = document.querySelector("form.filters");
const filter = () => {
  for (const section of document.querySelectorAll("section")) {
    section.hidden = [...form.elements].some((field) => field.value && field.value !== section.dataset[field.name]);
  }
};
form.addEventListener("change", filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter(); // a reloaded page restores the form

document.querySelectorAll("section").forEach((section, number) => {
  const choices = section.querySelector("form.rows");
  if (!choices) return;
  const table = section.querySelector("table.facebench");
  const headings = [...table.tHead.rows[0].cells];
  const place = Object.fromEntries(headings.map((heading, index) => [heading.dataset.key, index]));
  const names = headings.map((heading, index) => index).filter((index) => !headings[index].classList.contains("number"));
  const status = section.querySelector("[role=status]");
  const texts = new Map();
  for (const row of table.tBodies[0].rows) {
    // Real faces are no model: their row is always shown, and not counted.
    if (row.cells[0].textContent !== status.dataset.textReal) texts.set(row, names.map((index) => row.cells[index].textContent).join(" ").toLowerCase());
  }
  let limit = 200; // Long boards show their first rows: the browser lays out fewer cells.
  const tags = [...choices.querySelectorAll("select")];
  const show = () => {
    const words = choices.elements.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = tags.filter((select) => select.value).map((select) => [place[`tag-${select.name}`], select.value]);
    let count = 0;
    for (const row of table.tBodies[0].rows) {
      if (!texts.has(row)) continue;
      const matches =
        words.every((word) => texts.get(row).includes(word)) &&
        wanted.every(([index, value]) => row.cells[index].textContent === value);
      count += matches;
      const hidden = !matches || count > limit;
      if (row.hidden !== hidden) row.hidden = hidden;
    }
    more.hidden = count <= limit;
    status.textContent = status.dataset.textCount
      .replace("{shown}", Math.min(count, limit))
      .replace("{total}", texts.size);
  };
  const more = section.querySelector("button.more");
  more.addEventListener("click", () => {
    limit = Infinity;
    show();
  });
  table.addEventListener("sorted", () => show());
  // One style rule hides a column: the cells of long boards are not touched.
  const style = document.createElement("style");
  document.head.append(style);
  const boxes = [...section.querySelectorAll("input[type=checkbox]")];
  section.id ||= `board${number}`;
  const columns = () => {
    const hidden = boxes.filter((box) => !box.checked).map((box) => place[box.name] + 1);
    style.textContent = hidden.map((index) => `#${section.id} table.facebench tr > :nth-child(${index})`).join(",") +
      (hidden.length ? " { display: none; }" : "");
  };
  choices.addEventListener("input", (event) => (event.target.type === "checkbox" ? columns() : show()));
  choices.addEventListener("submit", (event) => event.preventDefault());
  for (const button of section.querySelectorAll("button[data-columns]")) {
    button.addEventListener("click", () => {
      const start = boxes.map((box) => box.defaultChecked);
      boxes.forEach((box, index) => (box.checked = button.dataset.columns === "all" || start[index]));
      columns();
    });
  }
  columns();
  show();
});
