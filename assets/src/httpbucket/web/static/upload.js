// Makes the form of the upload page comfortable: directories, progress, cancel, try again.
// Without this script the form sends files and leads to their page.

const AT_ONCE = 2;
const SPEED_WINDOW_SECONDS = 5;
const COPIED_SECONDS = 2;
const CANNOT_READ = "This directory cannot be read, or holds no files.";

const form = document.querySelector("#upload");
const picker = form.querySelector("#file");
const directoryPicker = form.querySelector("#directory");
const submit = form.querySelector("button");
const fields = [...form.querySelectorAll("fieldset input")];
const section = document.querySelector("#files");
const summary = document.querySelector("#summary");
const list = section.querySelector(".rows");

// Every file goes through some of these; each state has its buttons.
const BUTTONS = {
  chosen: ["remove"],
  queued: ["cancel"],
  sending: ["cancel"],
  storing: ["cancel"],
  kept: ["link", "digest"],
  refused: ["retry", "remove"],
  unfit: ["remove"],
  cancelled: ["retry", "remove"],
};
const UNDER_WAY = ["queued", "sending", "storing"];

// What is sent in one request and kept as one tree: files by their paths below the directory.
class Directory {
  constructor(name, files) {
    this.name = name;
    this.files = files;
    this.size = files.reduce((sum, { file }) => sum + file.size, 0);
  }
}

class Row {
  constructor(file, refusal = refusalOf(file)) {
    this.file = file;
    this.item = document.querySelector("#row").content.firstElementChild.cloneNode(true);
    this.progress = this.item.querySelector("progress");
    this.progress.setAttribute("aria-label", `Upload of ${file.name}`);
    this.part("name").textContent = file.name;
    this.part("size").textContent = showContent(file);
    for (const button of this.item.querySelectorAll("button")) {
      button.setAttribute("aria-label", `${button.textContent}: ${file.name}`);
      button.addEventListener("click", () => this[button.dataset.action](button));
    }
    list.append(this.item);
    this.enter(refusal ? "unfit" : "chosen", { refusal });
  }

  part(name) {
    return this.item.querySelector(`[data-part=${name}]`);
  }

  enter(state, { pace = "", refusal = "" } = {}) {
    this.state = this.item.dataset.state = state;
    this.part("pace").textContent = pace;
    this.part("refusal").textContent = refusal;
    this.progress.hidden = !UNDER_WAY.includes(state);
    keepFocus(this.item, () => {
      for (const button of this.item.querySelectorAll("button")) {
        const { action } = button.dataset;
        const fits = action !== "digest" || this.digestText;
        button.hidden = !(fits && BUTTONS[state].includes(action));
      }
    });
    summarise();
  }

  queue() {
    this.progress.value = 0;
    this.enter("queued", { pace: "Waits for its turn" });
  }

  send() {
    this.enter("sending", { pace: "Connecting" });
    this.samples = [[performance.now() / 1000, 0]];
    this.request = new XMLHttpRequest();
    this.request.upload.onprogress = (event) => this.measure(event);
    this.request.upload.onload = () => this.wait();
    this.request.onload = () => this.take(this.request);
    this.request.onerror = () => this.lose();
    this.request.onloadend = sendNext;
    this.request.open("POST", form.action);
    this.request.setRequestHeader("Accept", "application/json");
    this.request.send(body(this.file));
  }

  measure({ loaded, total }) {
    this.samples.push([performance.now() / 1000, loaded]);
    const [now] = this.samples.at(-1);
    while (now - this.samples[0][0] > SPEED_WINDOW_SECONDS) this.samples.shift();
    this.progress.value = loaded / total;
    const sent = showSize(Math.min(loaded, this.file.size));
    const pace = [`${sent} of ${showSize(this.file.size)}`, ...showPace(this.samples, total)];
    this.part("pace").textContent = pace.join(" · ");
  }

  wait() {
    this.progress.removeAttribute("value");
    this.enter("storing", { pace: "All sent; the server is storing it" });
  }

  take(request) {
    const answer = parse(request.responseText);
    if (request.status === 200 && answer.upload) {
      this.keep(answer.upload);
    } else {
      const otherwise = `The server answered ${request.status} ${request.statusText}`.trim();
      this.enter("refused", { refusal: answer.error ?? `${otherwise}.` });
    }
  }

  lose() {
    const refusal = "The connection broke, or the file cannot be read any more.";
    this.enter("refused", { refusal });
  }

  keep(upload) {
    this.digestText = upload.digests.sha256;
    this.part("name").href = address(`uploads/${upload.id}`);
    this.part("names").replaceChildren(...names(upload));
    this.enter("kept", { pace: "Kept" });
  }

  cancel() {
    const late = this.state === "storing";
    const pace = late ? "Cancelled, though the server may have kept it" : "Cancelled";
    this.enter("cancelled", { pace });
    this.request?.abort();
    sendNext();
  }

  retry() {
    this.queue();
    sendNext();
  }

  remove() {
    const next = this.item.nextElementSibling ?? this.item.previousElementSibling;
    rows.splice(rows.indexOf(this), 1);
    this.item.remove();
    (next?.querySelector("button:not([hidden])") ?? picker).focus();
    summarise();
  }

  link(button) {
    copy(this.part("name").href, button);
  }

  digest(button) {
    copy(this.digestText, button);
  }
}

const rows = [];

function add(files) {
  rows.push(...[...files].map((file) => new Row(file)));
  summarise();
  // Where nothing is left to decide, there is nothing to wait for.
  if (fields.length === 0) queueChosen();
}

// As the server would answer, without the way there.
function refusalOf(file) {
  if (file.files?.length === 0) return CANNOT_READ;
  return file.size > Number(form.dataset.limit) ? form.dataset.tooLarge : "";
}

function queueChosen() {
  for (const row of rows) if (row.state === "chosen") row.queue();
  section.scrollIntoView({ block: "nearest" });
  sendNext();
}

function sendNext() {
  const busy = rows.filter((row) => ["sending", "storing"].includes(row.state)).length;
  const waiting = rows.filter((row) => row.state === "queued");
  for (const row of waiting.slice(0, Math.max(0, AT_ONCE - busy))) row.send();
}

function body(file) {
  const parts = new FormData();
  for (const field of fields) if (field.value.trim()) parts.append(field.name, field.value);
  if (!(file instanceof Directory)) {
    parts.append("file", file, file.name);
    return parts;
  }
  parts.append("Tree", file.name);
  for (const { path, file: one } of file.files) parts.append("file", one, path);
  return parts;
}

function summarise() {
  const count = (...states) => rows.filter((row) => states.includes(row.state)).length;
  const counts = [
    [count("chosen"), "to upload"],
    [count(...UNDER_WAY), "under way"],
    [count("kept"), "kept"],
    [count("refused", "unfit"), "refused"],
    [count("cancelled"), "cancelled"],
  ];
  const told = counts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  tell(told.join(", "));
  section.hidden = rows.length === 0;
  const chosen = count("chosen");
  submit.classList.toggle("second", chosen === 0);
  submit.textContent = chosen > 0 ? `Upload ${chosen} ${chosen === 1 ? "file" : "files"}` : "Upload";
}

// Only what is new is told, so that a screen reader does not repeat itself.
function tell(sentence) {
  if (summary.textContent !== sentence) summary.textContent = sentence;
}

// A button that goes away while it has the focus hands it to what came in its place.
function keepFocus(item, change) {
  const hadFocus = item.contains(document.activeElement);
  change();
  const isLost = document.activeElement.hidden || !item.contains(document.activeElement);
  if (hadFocus && isLost) {
    item.querySelector("button:not([hidden])").focus();
  }
}

function names(upload) {
  const { id, filename } = upload;
  const day = [id.slice(0, 4), id.slice(4, 6), id.slice(6, 8)].join("/");
  const place = `archive/${day}/${id}/${filename}`;
  const isTree = upload.media_type === null;
  const uploaded = isTree ? anchor(`${place}/`, "Browse") : anchor(place, "Open the file", form.dataset.content);
  const replicas = upload.replicas.map(({ path, part }) =>
    part === "tree" ? anchor(`${path}/`, path) : anchor(path, path, form.dataset.content),
  );
  return [uploaded, ...replicas, ...findings(upload)].map((shown) => {
    const item = document.createElement("li");
    item.append(shown);
    return item;
  });
}

function findings({ id, findings: found }) {
  if (found.length === 0) return [];
  const link = anchor(`uploads/${id}`, found.length === 1 ? "1 finding" : `${found.length} findings`);
  link.className = "mark";
  return [link];
}

function anchor(path, text, base) {
  const link = document.createElement("a");
  link.href = address(path.split("/").map(encodeURIComponent).join("/"), base);
  link.textContent = text;
  return link;
}

// Relative to the form's action, which knows the prefix that a proxy may have put in front; or to
// where kept files are linked, which may be another origin.
function address(path, base = "") {
  return new URL(path, new URL(base, form.action)).href;
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

async function copy(text, button) {
  const label = button.textContent;
  button.textContent = (await toClipboard(text)) ? "Copied" : "Could not copy";
  setTimeout(() => (button.textContent = label), COPIED_SECONDS * 1000);
}

// The clipboard's own interface is there over HTTPS and on localhost only.
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused.focus();
  return copied;
}

function showContent(file) {
  const size = showSize(file.size);
  return file instanceof Directory ? `${file.files.length} files, ${size}` : size;
}

function showSize(size) {
  let amount = size;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (amount < 1023.95) return `${shorten(amount)} ${unit}`;
    amount /= 1024;
  }
  return `${shorten(amount)} TB`;
}

function shorten(amount) {
  return amount.toFixed(1).replace(/\.0$/, "");
}

function showPace(samples, total) {
  const [[start, sentThen], [now, sent]] = [samples[0], samples.at(-1)];
  const speed = (sent - sentThen) / (now - start);
  // The first moment only fills buffers.
  if (now - start < 0.5 || !(speed > 0)) return [];
  return [`${showSize(speed)}/s`, `${showDuration((total - sent) / speed)} left`];
}

function showDuration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function showTemplates() {
  const values = Object.fromEntries(fields.map(({ name, value }) => [name, value.trim()]));
  for (const template of form.querySelectorAll(".templates li")) showTemplate(template, values);
}

function showTemplate(template, values) {
  const headers = [...template.querySelectorAll("var")];
  for (const header of headers) {
    const value = values[header.dataset.header];
    header.textContent = value || header.dataset.header;
    header.classList.toggle("filled", Boolean(value));
  }
  const missing = headers.map(({ dataset }) => dataset.header).filter((name) => !values[name]);
  const isBegun = missing.length < headers.length;
  const needs = missing.length > 0 ? `needs ${[...new Set(missing)].join(" and ")}` : "";
  template.dataset.filled = missing.length === 0;
  template.querySelector("[role=status]").textContent = isBegun ? needs : "";
}

async function drop(event) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.remove("dropping");
  // All of it now: once this event is over, the items are empty.
  const items = [...event.dataTransfer.items].filter(({ kind }) => kind === "file");
  const isDirectory = (item) => item.webkitGetAsEntry()?.isDirectory;
  const entries = items.filter(isDirectory).map((item) => item.webkitGetAsEntry());
  add(items.filter((item) => !isDirectory(item)).map((item) => item.getAsFile()));
  for (const entry of entries) add([await walk(entry)]);
}

async function walk(root) {
  const files = [];
  try {
    await gather(root, "", files);
  } catch {
    files.length = 0;
  }
  return new Directory(root.name, files);
}

async function gather(directory, path, files) {
  const reader = directory.createReader();
  const next = () => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  // A reader gives a hundred at a time.
  for (let entries = await next(); entries.length > 0; entries = await next()) {
    for (const entry of entries) {
      const inner = path + entry.name;
      if (entry.isDirectory) await gather(entry, `${inner}/`, files);
      else files.push({ path: inner, file: await new Promise((...done) => entry.file(...done)) });
    }
  }
}

// Files that were picked with their directory say "results/deep/a.xml".
function pickedDirectories(picked) {
  const found = new Map();
  for (const file of picked) {
    const [name, ...rest] = file.webkitRelativePath.split("/");
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ path: rest.join("/"), file });
  }
  return [...found].map(([name, files]) => new Directory(name, files));
}

function hover(event) {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.add("dropping");
}

function submitted(event) {
  event.preventDefault();
  if (rows.some((row) => row.state === "chosen")) queueChosen();
  else picker.click();
}

function enhance() {
  form.classList.add("scripted");
  for (const part of form.querySelectorAll("[data-scripted]")) part.hidden = false;
  form.querySelector("label[for=file]").textContent = "Choose files";
  picker.required = false;
  submit.hidden = fields.length === 0;
  picker.addEventListener("change", () => {
    add(picker.files);
    picker.value = "";
  });
  directoryPicker.addEventListener("change", () => {
    add(pickedDirectories(directoryPicker.files));
    directoryPicker.value = "";
  });
  form.addEventListener("submit", submitted);
  form.addEventListener("input", showTemplates);
  document.addEventListener("dragover", hover);
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) form.classList.remove("dropping");
  });
  document.addEventListener("drop", drop);
  window.addEventListener("beforeunload", (event) => {
    if (rows.some((row) => UNDER_WAY.includes(row.state))) event.preventDefault();
  });
  showTemplates();
  summarise();
}

enhance();
