// The list of uploads that an earlier page began: the person chooses the file again, or discards.

import { showSize } from "./amounts.js";
import { discard, look } from "./resume.js";

const section = document.querySelector("#unfinished");
const list = section.querySelector("ul");
const count = section.querySelector("[role=status]");

export class Unfinished {
  constructor(memory, choose) {
    this.memory = memory;
    this.choose = choose;
    this.items = new Map();
  }

  async show() {
    await Promise.all(this.memory.idle().map(([key, entry]) => this.offer(key, entry)));
  }

  async offer(key, entry) {
    // Without an answer it is offered all the same.
    const looked = await look(entry.address).catch(() => ({}));
    if (looked === null || looked.page) this.memory.forget(key);
    if (looked !== null && !this.items.has(key)) this.add(key, entry, looked);
  }

  add(key, entry, { offset, page }) {
    const item = document.querySelector("#unfinished-row").content.firstElementChild.cloneNode(true);
    const part = (name) => item.querySelector(`[data-part=${name}]`);
    part("name").textContent = entry.name;
    part("far").textContent = page ? "was kept after all." : howFar(entry, offset);
    if (page) part("name").href = page;
    for (const button of item.querySelectorAll("button")) {
      button.setAttribute("aria-label", `${button.textContent}: ${entry.name}`);
    }
    const [choose, remove] = item.querySelectorAll("button");
    choose.hidden = remove.hidden = Boolean(page);
    choose.addEventListener("click", this.choose);
    remove.addEventListener("click", () => this.discard(key, entry));
    list.append(item);
    this.items.set(key, item);
    this.summarise();
  }

  // While a row of the page is about the same file, or again after it.
  hide(key, isHidden = true) {
    if (this.items.has(key)) this.items.get(key).hidden = isHidden;
    this.summarise();
  }

  // When the row is gone that went on with it.
  async offerAgain(key) {
    this.memory.release(key);
    const entry = this.memory.find(key);
    if (entry && !this.items.has(key)) await this.offer(key, entry);
    this.hide(key, false);
  }

  discard(key, { address }) {
    const item = this.items.get(key);
    const next = item.nextElementSibling ?? item.previousElementSibling;
    this.memory.forget(key);
    this.items.delete(key);
    item.remove();
    this.summarise();
    (next?.querySelector("button:not([hidden])") ?? document.querySelector("#file")).focus();
    return discard(address);
  }

  summarise() {
    const number = list.querySelectorAll("li:not([hidden])").length;
    section.hidden = number === 0;
    count.textContent = number === 1 ? "1 upload was not finished." : `${number} uploads were not finished.`;
  }
}

function howFar({ size }, offset) {
  const part = offset === undefined ? "Some" : `${Math.floor((100 * offset) / size)} %`;
  return `${part} of ${showSize(size)} is here. Choose the file again to go on.`;
}
