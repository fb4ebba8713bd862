// Makes the form of the upload page comfortable: directories, progress, cancel, try again.
// Without this script the form sends files and leads to their page.

import { canDigest, digestOf, storeWithoutSending } from "./already_kept.js";
import { showPace, showSize } from "./amounts.js";
import { copy } from "./clipboard.js";
import { Directory, pickedDirectories, walk } from "./directories.js";
import { fields, filledIn, isSame, restore, showTemplates } from "./fields.js";
import { address, names } from "./links.js";
import { Memory } from "./memory.js";
import { sendMissing } from "./missing_files.js";
import { ask, keptUpload } from "./requests.js";
import { Resumable, discard } from "./resume.js";
import { Unfinished } from "./unfinished.js";

const AT_ONCE = 2;
const SPEED_WINDOW_SECONDS = 5;
const KEPT_ALREADY = "Already kept; nothing was sent";
const CANNOT_READ = "This directory cannot be read, or holds no files.";

const form = document.querySelector("#upload");
const picker = form.querySelector("#file");
const directoryPicker = form.querySelector("#directory");
const submit = form.querySelector("button");
const section = document.querySelector("#files");
const summary = document.querySelector("#summary");
const list = section.querySelector(".rows");
const memory = new Memory(form.action);
const unfinished = new Unfinished(memory, () => picker.click());

// Every file goes through some of these; each state has its buttons.
const BUTTONS = {
  chosen: ["remove"],
  queued: ["cancel"],
  checking: ["cancel"],
  sending: ["cancel"],
  waiting: ["now", "cancel"],
  storing: ["cancel"],
  kept: ["link", "digest"],
  refused: ["retry", "remove"],
  unfit: ["remove"],
  cancelled: ["retry", "remove"],
};
const BUSY = ["checking", "sending", "waiting", "storing"];
const UNDER_WAY = ["queued", ...BUSY];

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
    if (!refusal) this.takeUp();
    const pace = this.begun ? "Begun before; goes on where it was" : "";
    this.enter(refusal ? "unfit" : "chosen", { pace, refusal });
  }

  get goesInPieces() {
    return !(this.file instanceof Directory) && this.file.size > Number(form.dataset.wholeBytes);
  }

  // Go on with what an earlier page, or a row that was removed, has begun of the same file.
  takeUp() {
    if (!this.goesInPieces) return;
    this.key = memory.keyOf(this.file);
    this.begun = memory.findIdle(this.key);
    if (!this.begun) return;
    memory.remember(this.key, this.begun);
    unfinished.hide(this.key);
    restore(this.begun.said);
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

  async send() {
    const { signal } = (this.stopper = new AbortController());
    try {
      await this.bring(signal);
    } catch (error) {
      if (!signal.aborted) this.enter("refused", { refusal: error.message });
    }
    sendNext();
  }

  async bring(signal) {
    const said = filledIn();
    if (this.canSendMissing) return this.sendMissing(said, signal);
    const digest = await this.digestFirst(signal);
    const known = digest && (await this.storeKnown(digest, said, signal));
    if (known) {
      this.discardBegun();
      return this.keep(known, KEPT_ALREADY);
    }
    const send = this.goesInPieces ? this.sendPieces : this.sendWhole;
    this.keep(await send.call(this, said, digest, signal));
  }

  get canSendMissing() {
    const isSmall = ({ file }) => file.size <= Number(form.dataset.digestBytes);
    return canDigest && this.file instanceof Directory && this.file.files.every(isSmall);
  }

  async sendMissing(said, signal) {
    const count = this.file.files.length;
    this.enter("checking");
    const { upload, sent } = await sendMissing(this.file, {
      address: new URL(form.dataset.tree, form.action).href,
      said,
      signal,
      watch: {
        read: (done) => {
          this.part("pace").textContent = `Looking what is already kept · ${done} of ${count} files`;
        },
        sending: () => this.start("Connecting"),
        progress: (loaded, total) => this.measure(loaded, total),
        storing: () => this.wait(),
      },
    });
    const kept = sent === 0 ? KEPT_ALREADY : `Kept; ${sent} of ${count} files were sent`;
    this.keep(upload, sent === count ? "Kept" : kept);
  }

  // Of files that can be read as a whole, and where the browser can.
  async digestFirst(signal) {
    const isSmall = this.file.size <= Number(form.dataset.digestBytes);
    if (!canDigest || !isSmall || this.file instanceof Directory) return "";
    this.enter("checking", { pace: "Looking whether it is already kept" });
    // What cannot be read is told when it is sent.
    const digest = await digestOf(this.file).catch(() => "");
    signal.throwIfAborted();
    return digest;
  }

  async storeKnown(digest, said, signal) {
    try {
      return await storeWithoutSending(form.action, { name: this.file.name, digest, said, signal });
    } catch (error) {
      // Sending in pieces waits for the connection, or is refused likewise.
      if (this.goesInPieces && !signal.aborted) return null;
      throw error;
    }
  }

  async sendWhole(said, digest, signal) {
    this.start("Connecting");
    const headers = { Accept: "application/json" };
    if (digest) headers["X-Checksum-Sha256"] = digest;
    const answer = await ask("POST", form.action, {
      headers,
      body: body(this.file, said),
      signal,
      onProgress: (sent, total) => this.measure(sent, total),
      onSent: () => this.wait(),
    });
    return keptUpload(answer);
  }

  async sendPieces(said, digest, signal) {
    if (this.begun && !isSame(this.begun.said, said)) this.discardBegun();
    this.start(this.begun ? "Looking how far it was" : "Connecting");
    return new Resumable(this.file, {
      begin: new URL(form.dataset.pieces, form.action).href,
      address: this.begun?.address,
      said: digest ? { ...said, checksum: `sha256:${digest}` } : said,
      pieceBytes: Number(form.dataset.pieceBytes),
      signal,
      watch: this.watch(said),
    }).send();
  }

  watch(said) {
    const { name, size } = this.file;
    return {
      begun: (address) => {
        this.begun = { address, said, name, size };
        memory.remember(this.key, this.begun);
      },
      progress: (sent) => {
        if (this.state !== "sending") this.start();
        memory.keepBusy(this.key);
        this.measure(sent, size);
      },
      storing: () => this.wait(),
      waiting: (sent, goOn, why) => {
        this.now = goOn;
        // More may have come than was acknowledged, so that the bar stays where it is.
        if (!this.progress.hasAttribute("value")) this.progress.value = sent / size;
        this.enter("waiting", { pace: why });
      },
    };
  }

  start(pace) {
    this.enter("sending", { pace });
    this.samples = [];
  }

  measure(sent, total) {
    this.samples.push([performance.now() / 1000, sent]);
    const [now] = this.samples.at(-1);
    while (now - this.samples[0][0] > SPEED_WINDOW_SECONDS) this.samples.shift();
    this.progress.value = sent / total;
    // Not what a form or a tar adds.
    const all = Math.min(total, this.file.size);
    const pace = [`${showSize(Math.min(sent, all))} of ${showSize(all)}`, ...showPace(this.samples, total)];
    this.part("pace").textContent = pace.join(" · ");
  }

  wait() {
    this.progress.removeAttribute("value");
    this.enter("storing", { pace: "All sent; the server is storing it" });
  }

  keep(upload, pace = "Kept") {
    this.forget();
    this.digestText = upload.digests.sha256;
    this.part("name").href = address(`uploads/${upload.id}`);
    this.part("names").replaceChildren(...names(upload));
    this.wasKnown = pace === KEPT_ALREADY;
    this.enter("kept", { pace });
  }

  cancel() {
    const late = this.state === "storing";
    const pace = late ? "Cancelled, though the server may have kept it" : "Cancelled";
    // What waited for its turn may go on another time.
    const isUnderWay = this.state !== "queued";
    this.enter("cancelled", { pace });
    this.stopper?.abort();
    if (isUnderWay) this.discardBegun();
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
    if (this.begun) unfinished.offerAgain(this.key);
    (next?.querySelector("button:not([hidden])") ?? picker).focus();
    summarise();
  }

  forget() {
    if (this.key) memory.forget(this.key);
    this.begun = null;
  }

  discardBegun() {
    if (this.begun) discard(this.begun.address);
    this.forget();
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
  const busy = rows.filter((row) => BUSY.includes(row.state)).length;
  const waiting = rows.filter((row) => row.state === "queued");
  for (const row of waiting.slice(0, Math.max(0, AT_ONCE - busy))) row.send();
}

function body(file, said) {
  const parts = new FormData();
  for (const [name, value] of Object.entries(said)) parts.append(name, value);
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
    [count(...UNDER_WAY) - count("waiting"), "under way"],
    [count("waiting"), "waiting for the connection"],
    [count("kept"), `kept${showKnown()}`],
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

function showKnown() {
  const known = rows.filter(({ wasKnown }) => wasKnown).length;
  return known > 0 ? ` (${known} without sending)` : "";
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

function showContent(file) {
  const size = showSize(file.size);
  return file instanceof Directory ? `${file.files.length} files, ${size}` : size;
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
  // Another page, or this one after a reload, may go on.
  window.addEventListener("pagehide", () => {
    for (const row of rows) if (row.begun) memory.release(row.key);
  });
  showTemplates();
  summarise();
  unfinished.show();
}

enhance();
