// Headings of the table of cases become buttons that sort it; without this the page is whole, and only not sorted.
(() => {
  const table = document.getElementById("cases");
  const said = document.getElementById("sorted");
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const words = new Intl.Collator(undefined, { numeric: true });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? cell.dataset.v : cell.textContent.trim();
  };
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? words.compare(a, b) : x - y;
  };
  heads.forEach((head, column) => {
    if ("unsorted" in head.dataset) return;
    const name = head.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const keyed = Array.from(body.rows, (row) => [keyOf(row, column), row]);
      // What is empty stays at the end, whichever way.
      keyed.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : way * compare(a, b)));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      body.append(...keyed.map(([, row]) => row));
      said.textContent = `sorted by ${name}, ${way === 1 ? "ascending" : "descending"}`;
    });
  });
})();
