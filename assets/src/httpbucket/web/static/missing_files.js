// Sends of a directory only the files that the server does not keep already.

import { digestOf } from "./already_kept.js";
import { ask, keptUpload } from "./requests.js";
import { tar } from "./tar.js";

// Reading is what takes time; each of them may be 64 MiB in memory.
const DIGESTS_AT_ONCE = 4;

const JSON_ONLY = { Accept: "application/json" };

// The upload that it became, and how many files were sent. ``watch`` is told what happens:
// read(files), sending(), progress(bytes, all), storing().
export async function sendMissing(directory, { address, said, signal, watch }) {
  const place = new URL(address);
  place.search = new URLSearchParams({ ...said, name: directory.name });
  const list = await listOf(directory.files, { signal, watch });
  const offered = await ask("POST", place.href, { headers: JSON_ONLY, body: list, signal });
  if (offered.status !== 202) return { upload: keptUpload(offered), sent: 0 };
  const missing = new Set(JSON.parse(offered.responseText).missing);
  watch.sending();
  const answer = await ask("PUT", new URL(offered.getResponseHeader("Location"), place).href, {
    headers: JSON_ONLY,
    body: tar(directory.files.filter(({ path }) => missing.has(path))),
    signal,
    onProgress: watch.progress,
    onSent: watch.storing,
  });
  return { upload: keptUpload(answer), sent: missing.size };
}

// As sha256sum prints it.
async function listOf(files, { signal, watch }) {
  const lines = [];
  for (let start = 0; start < files.length; start += DIGESTS_AT_ONCE) {
    signal.throwIfAborted();
    watch.read(start);
    const some = files.slice(start, start + DIGESTS_AT_ONCE);
    lines.push(...(await Promise.all(some.map(line))));
  }
  return new Blob(lines);
}

async function line({ path, file }) {
  try {
    return `${await digestOf(file)}  ${path}\n`;
  } catch {
    throw new Error(`${path} cannot be read.`);
  }
}
