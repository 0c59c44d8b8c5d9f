// Image browser: sorts and filters the images of a section, and enlarges one with its linked images and numbers.
// All names come from data and become text, never markup.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const signed = (value) => (value === null || value === undefined ? "–" : (value > 0 ? "+" : "") + value.toFixed(2));

class Browser {
  constructor(root) {
    this.root = root;
    this.data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    this.form = root.querySelector("form");
    this.grid = root.querySelector(".browser-grid");
    this.status = root.querySelector("[role=status]");
    this.more = root.querySelector(".browser-more");
    this.words = this.form.dataset;
    this.step = 48;
    this.grid.style.setProperty("--pictures", Math.max(...this.data.images.slice(0, 50).map((image) => this.rows(image).length)));
    this.fill();
    this.form.addEventListener("input", () => this.update());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.more.addEventListener("click", () => this.show(this.visible.length ? this.grid.children.length + this.step : 0, true));
    this.dialog = root.querySelector("dialog");
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.querySelector(".close").addEventListener("click", () => this.dialog.close());
    this.dialog.querySelector(".previous").addEventListener("click", () => this.move(-1));
    this.dialog.querySelector(".next").addEventListener("click", () => this.move(1));
    this.update();
  }
  options(name, labels) {
    const select = this.form.elements[name];
    labels.forEach((label, index) => select.append(make("option", { value: index }, label)));
  }
  fill() {
    this.options("sort", this.data.numbers);
    this.options("run", this.data.runs);
    this.data.columns.forEach((label, index) => {
      const values = [...new Set(this.data.images.map((image) => image.c[index]).filter(Boolean))];
      const select = make("select", { name: `column${index}` }, make("option", { value: "" }, this.words.all));
      values.sort().forEach((value) => select.append(make("option", { value }, value)));
      this.form.querySelector(".browser-columns").append(make("label", {}, `${label} `, select));
    });
  }
  value(image, number, run) {
    const chosen = image.m.find((each) => each.r === run) ?? image.m[0];
    return chosen.v[number] ?? null;
  }
  update() {
    const fields = this.form.elements;
    const number = fields.sort.value === "" ? null : Number(fields.sort.value);
    const run = Number(fields.run.value || 0);
    const [low, high] = [fields.low, fields.high].map((field) => (field.value === "" ? null : Number(field.value)));
    const words = fields.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const filters = this.data.columns.map((_, index) => fields[`column${index}`].value);
    this.visible = this.data.images.filter((image) => {
      if (!words.every((word) => image.n.toLowerCase().includes(word))) return false;
      if (filters.some((value, index) => value && image.c[index] !== value)) return false;
      if (number === null || (low === null && high === null)) return true;
      const value = this.value(image, number, run);
      return value !== null && (low === null || value >= low) && (high === null || value <= high);
    });
    if (number !== null) {
      const sign = fields.order.value === "down" ? -1 : 1;
      const key = (image) => this.value(image, number, run);
      this.visible.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (x - y);
      });
    }
    this.number = number;
    this.grid.replaceChildren();
    this.show(this.step, false);
    this.status.textContent = this.words.count.replace("{shown}", this.visible.length).replace("{total}", this.data.images.length);
  }
  show(count, focus) {
    const start = this.grid.children.length;
    const added = this.visible.slice(start, count).map((image, place) => this.card(image, start + place));
    this.grid.append(...added);
    this.more.hidden = this.grid.children.length >= this.visible.length;
    if (focus && added.length) added[0].querySelector("button").focus();
  }
  picture(index, alt) {
    if (index < 0) return make("span", { class: "absent" }, this.words.absent);
    return make("img", { src: this.data.thumbnails[index], alt, decoding: "async" });
  }
  role(name) {
    const [kind, set] = name.split(":");
    return (JSON.parse(this.words.roles)[kind] ?? kind) + (set ? ` ${set}` : "");
  }
  rows(image) {
    // Side by side: linked images that the runs share stand once.
    const several = image.m.length > 1;
    const before = [], made = [], after = [];
    for (const [place, entry] of image.m.entries()) {
      for (const [role, index, name] of entry.t) {
        if (role === "generated") made.push([several ? this.data.runs[entry.r] : this.role(role), index, name, entry.r]);
        else if (place === 0) (role === "target" ? after : before).push([this.role(role), index, name, null]);
      }
    }
    return [...before, ...made, ...after];
  }
  facts(entry) {
    const facts = [];
    if (this.number !== null) facts.push([this.data.numbers[this.number], entry.v[this.number]]);
    return facts;
  }
  card(image, place) {
    const pictures = this.rows(image).map(([label, index, name, run]) => {
      const swatch = run === null || this.data.runs.length < 2 ? [] : [make("i", { style: `background:var(--run${run % 6})` })];
      return make("span", { class: "browser-picture" }, this.picture(index, name), make("small", {}, ...swatch, label));
    });
    const lines = image.m.map((entry) => {
      const parts = this.facts(entry).map(([, value]) => (value === null || value === undefined ? "–" : String(value)));
      const change = this.change(entry);
      if (change) parts.push(change);
      const name = image.m.length > 1 ? `${this.data.runs[entry.r]}: ` : "";
      return parts.length ? make("span", {}, name + parts.join(" · ")) : "";
    });
    const button = make("button", { type: "button", "aria-haspopup": "dialog" }, ...pictures);
    button.addEventListener("click", () => this.open(place));
    const caption = [image.c.filter(Boolean).join(" · "), ...lines].filter(Boolean);
    return make("figure", { class: "browser-card" }, button, make("figcaption", {}, ...caption.map((part) => make("span", {}, part))));
  }
  change(entry) {
    if (!entry.a || entry.a.length < 2 || entry.a[0] === null) return "";
    const target = entry.a.length > 3 && entry.a[2] !== null ? ` (${this.words.target} ${signed(entry.a[2])}, ${signed(entry.a[3])})` : "";
    return `Δ ${this.words.valence} ${signed(entry.a[0])}, ${this.words.arousal} ${signed(entry.a[1])}${target}`;
  }
  open(place) {
    this.place = place;
    const image = this.visible[place];
    const body = this.dialog.querySelector(".dialog-body");
    const pictures = this.rows(image).map(([label, index, name]) =>
      make("figure", {}, this.picture(index, name), make("figcaption", {}, label, make("small", {}, name))));
    const heading = make("tr", {}, make("th", { scope: "col" }, ""), ...image.m.map((entry) => make("th", { scope: "col" }, this.data.runs[entry.r])));
    const row = (label, cells) => make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((cell) => make("td", {}, cell)));
    const rows = this.data.numbers
      .map((label, index) => [label, image.m.map((entry) => entry.v[index])])
      .filter(([, values]) => values.some((value) => value !== null && value !== undefined))
      .map(([label, values]) => row(label, values.map((value) => (value === null || value === undefined ? "–" : String(value)))));
    if (image.m.some((entry) => this.change(entry))) {
      rows.unshift(row(`${this.words.change} (${this.data.affect})`, image.m.map((entry) => this.change(entry) || "–")));
    }
    const columns = this.data.columns.map((label, index) => [label, image.c[index]]).filter(([, value]) => value);
    body.replaceChildren(
      make("h3", {}, image.n),
      make("p", { class: "lead" }, columns.map(([label, value]) => `${label}: ${value}`).join(" · ")),
      make("div", { class: "dialog-pictures" }, ...pictures),
      make("table", {}, make("thead", {}, heading), make("tbody", {}, ...rows)),
    );
    if (!this.dialog.open) this.dialog.showModal();
    body.scrollTop = 0;
  }
  move(step) {
    const place = this.place + step;
    if (place >= 0 && place < this.visible.length) this.open(place);
  }
  key(event) {
    if (event.key === "ArrowRight") this.move(1);
    else if (event.key === "ArrowLeft") this.move(-1);
  }
}
for (const root of document.querySelectorAll(".browser")) new Browser(root);
