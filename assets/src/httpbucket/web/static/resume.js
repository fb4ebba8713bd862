// Sends a file in pieces by tus 1.0 (https://tus.io/protocols/resumable-upload), and goes on where
// it was when the connection is back.

import { Broken, Refused, ask, keptUpload } from "./requests.js";

const TUS = { "Tus-Resumable": "1.0.0" };
const PIECE_TYPE = "application/offset+octet-stream";

// A slow line empties the buffers of the operating system in less.
const PATIENT = { patienceSeconds: 60 };
const FIRST_PAUSE_SECONDS = 1;
const LONGEST_PAUSE_SECONDS = 30;

// Answers of proxies whose server is away, and of a server that is busy with the same upload or
// was told otherwise by another tab: it is worth asking again.
const PASSING_STATUSES = [408, 409, 423, 429, 502, 503, 504];
const PASSING_PROBLEMS = ["incomplete-body", "client-gone"];
const GONE_STATUSES = [404, 410];

export class Resumable {
  // ``address`` is where it was begun before, if it was; ``said`` is what goes with the file.
  // ``watch`` is told what happens: begun(address), progress(bytes), storing(),
  // waiting(bytes, goOn, why), where ``goOn`` ends the wait.
  constructor(file, { begin, address = "", said, pieceBytes, signal, watch }) {
    Object.assign(this, { file, begin, address, said, pieceBytes, signal, watch });
    this.offset = 0;
    this.failures = 0;
  }

  // The upload that it became. Rejects as `Refused`, or with the signal's reason.
  async send() {
    for (;;) {
      try {
        return await this.goOn();
      } catch (error) {
        await this.requirePassing(error);
        await this.pause(reason(error));
      }
    }
  }

  async goOn() {
    const looked = this.address ? await look(this.address, { signal: this.signal }) : null;
    if (looked === null) await this.create();
    else this.offset = looked.offset;
    for (let page = looked?.page; ; ) {
      if (page) return await receiptAt(page, this.signal);
      const answer = await this.sendPiece();
      if (answer.status === 200) return keptUpload(answer);
      page = pageOf(answer, this.address);
    }
  }

  async create() {
    const headers = {
      ...TUS,
      "Upload-Length": this.file.size,
      "Upload-Metadata": metadata({ filename: this.file.name, ...this.said }),
    };
    const answer = await ask("POST", this.begin, { headers, signal: this.signal, ...PATIENT });
    if (answer.status !== 201) throw new Refused(answer);
    this.address = new URL(answer.getResponseHeader("Location"), this.begin).href;
    this.offset = 0;
    this.watch.begun(this.address);
  }

  async sendPiece() {
    const start = this.offset;
    const end = Math.min(start + this.pieceBytes, this.file.size);
    this.watch.progress(start);
    const isLast = end === this.file.size;
    const answer = await ask("PATCH", this.address, {
      headers: { ...TUS, "Content-Type": PIECE_TYPE, "Upload-Offset": start, Accept: "application/json" },
      body: this.file.slice(start, end),
      signal: this.signal,
      ...PATIENT,
      // What came is then hashed again, perhaps, and unpacked.
      isSlow: isLast,
      onProgress: (sent) => this.watch.progress(start + sent),
      onSent: () => isLast && this.watch.storing(),
    });
    if (![200, 204].includes(answer.status)) throw new Refused(answer);
    this.offset = end;
    this.failures = 0;
    return answer;
  }

  async requirePassing(error) {
    if (error instanceof Broken) return this.requireReadable();
    if (!(error instanceof Refused)) throw error;
    if (GONE_STATUSES.includes(error.status) && this.address) this.address = "";
    else if (!PASSING_STATUSES.includes(error.status) && !PASSING_PROBLEMS.includes(error.problem)) throw error;
  }

  // A file that was moved or changed breaks requests too, and waiting does not help.
  async requireReadable() {
    try {
      await this.file.slice(this.offset, this.offset + 1).arrayBuffer();
    } catch {
      throw new Error("The file cannot be read any more: it was moved or changed.");
    }
  }

  async pause(why) {
    const seconds = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** this.failures);
    this.failures += 1;
    let timer, goOn, stop;
    try {
      await new Promise((resolve, reject) => {
        [goOn, stop] = [resolve, () => reject(this.signal.reason)];
        if (this.signal.aborted) stop();
        timer = setTimeout(goOn, seconds * 1000);
        window.addEventListener("online", goOn);
        this.signal.addEventListener("abort", stop);
        this.watch.waiting(this.offset, goOn, why);
      });
    } finally {
      clearTimeout(timer);
      window.removeEventListener("online", goOn);
      this.signal.removeEventListener("abort", stop);
    }
  }
}

// How far an upload is, and the page of what it became, if it did; null when it is gone.
export async function look(address, { signal } = {}) {
  const answer = await ask("HEAD", address, { headers: TUS, signal, ...PATIENT });
  if (GONE_STATUSES.includes(answer.status)) return null;
  if (answer.status !== 200) throw new Refused(answer);
  return { offset: Number(answer.getResponseHeader("Upload-Offset")), page: pageOf(answer, address) };
}

// Have the server forget what came. When that cannot be told it, it forgets it in time.
export async function discard(address) {
  await ask("DELETE", address, { headers: TUS }).catch(() => null);
}

function reason(error) {
  if (error instanceof Broken) return "Waiting for the connection; goes on where it was";
  return `${error.message} Goes on by itself.`;
}

function pageOf(answer, address) {
  const page = answer.getResponseHeader("Content-Location");
  return page && new URL(page, address).href;
}

async function receiptAt(page, signal) {
  const headers = { Accept: "application/json" };
  return keptUpload(await ask("GET", page, { headers, signal, ...PATIENT }));
}

function metadata(values) {
  const pairs = Object.entries(values).map(([name, value]) => `${name} ${base64(value)}`);
  return pairs.join(",");
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
