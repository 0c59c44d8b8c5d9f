// A heading is a button that sorts its table by that column; a second click reverses the order.
// Cells without a value stay at the end.
for (const table of document.querySelectorAll("table.facebench")) {
  const headings = [...table.querySelectorAll("thead th")];
  const sort = (heading, column) => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    const numeric = rows.some((row) => row.cells[column].dataset.sort !== undefined);
    const key = (row) => {
      const cell = row.cells[column];
      return numeric ? Number(cell.dataset.sort ?? NaN) : cell.textContent.trim();
    };
    const compare = (a, b) => {
      if (!numeric) return a.localeCompare(b) * (descending ? -1 : 1);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return (a - b) * (descending ? -1 : 1);
    };
    table.tBodies[0].append(...rows.sort((a, b) => compare(key(a), key(b))));
    table.dispatchEvent(new Event("sorted"));
  };
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    // The whole heading reacts to the mouse; the keyboard uses the button, whose click arrives here too.
    heading.addEventListener("click", () => sort(heading, column));
  });
}
// A region that scrolls can be reached by the keyboard, and is named by its table.
for (const region of document.querySelectorAll(".scroll")) {
  const caption = region.querySelector("caption");
  region.tabIndex = 0;
  if (!caption) continue;
  region.setAttribute("role", "region");
  region.setAttribute("aria-label", caption.textContent);
}
