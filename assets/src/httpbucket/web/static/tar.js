// Packs files as a tar (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html).

const BLOCK = 512;
const MOST_NAME_BYTES = 100;
const encoder = new TextEncoder();

// A Blob that reads the files when it is sent; pairs of path and file.
export function tar(files) {
  const parts = files.flatMap(({ path, file }) => [...heads(path, file.size), file, padding(file.size)]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}

function heads(path, size) {
  const name = encoder.encode(path);
  const isPlain = name.length <= MOST_NAME_BYTES && /^[\x20-\x7e]*$/.test(path);
  if (isPlain) return [head(name, size, "0")];
  const said = record("path", path);
  const before = head(encoder.encode("path"), said.length, "x");
  return [before, said, padding(said.length), head(encoder.encode("file"), size, "0")];
}

function head(name, size, kind) {
  const block = new Uint8Array(BLOCK);
  const put = (at, text) => block.set(encoder.encode(text), at);
  block.set(name);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${octal(size, 11)}\0`);
  put(136, "00000000000\0");
  // The sum is made as if it was spaces.
  put(148, " ".repeat(8));
  put(156, kind);
  put(257, "ustar\x0000");
  put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return block;
}

// "<length> <key>=<value>\n", where the length counts its own digits.
function record(key, value) {
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest + 1;
  while (rest + String(length).length !== length) length = rest + String(length).length;
  return encoder.encode(`${length} ${key}=${value}\n`);
}

function padding(size) {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

function octal(number, digits) {
  return number.toString(8).padStart(digits, "0");
}
