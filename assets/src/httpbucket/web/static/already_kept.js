// Recognises content that the server keeps already, so that it need not be sent.

import { ask, keptUpload } from "./requests.js";

// Browsers offer this over HTTPS and on localhost only.
export const canDigest = Boolean(globalThis.crypto?.subtle);

// The SHA-256 of a file in hex. It is read as a whole: `crypto.subtle` takes no pieces.
export async function digestOf(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Make an upload of what is kept under the digest: the upload, or null when nothing is.
export async function storeWithoutSending(address, { name, digest, said, signal }) {
  const parts = new FormData();
  for (const [field, value] of Object.entries(said)) parts.append(field, value);
  parts.append("checksum", `sha256:${digest}`);
  parts.append("filename", name);
  const headers = { Accept: "application/json" };
  const answer = await ask("POST", address, { headers, body: parts, signal });
  return answer.status === 404 ? null : keptUpload(answer);
}
