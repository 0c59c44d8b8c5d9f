// A click (or Enter) on a heading sorts its table by that column; a second one turns the order round.
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
  };
  headings.forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sort(heading, column));
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sort(heading, column);
    });
  });
}
