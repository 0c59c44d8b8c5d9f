// A click on a heading sorts its table by that column; a second click turns the order round.
for (const table of document.querySelectorAll("table.facebench")) {
  table.querySelectorAll("th").forEach((heading, column) => {
    heading.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
      };
      const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
      const rows = [...table.tBodies[0].rows].sort((a, b) => compare(key(a), key(b)) * (descending ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}
