// Directories, as they are dropped or picked.

// What is sent in one request and kept as one tree: files by their paths below the directory.
export class Directory {
  constructor(name, files) {
    this.name = name;
    this.files = files;
    this.size = files.reduce((sum, { file }) => sum + file.size, 0);
  }
}

export async function walk(root) {
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
export function pickedDirectories(picked) {
  const found = new Map();
  for (const file of picked) {
    const [name, ...rest] = file.webkitRelativePath.split("/");
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ path: rest.join("/"), file });
  }
  return [...found].map(([name, files]) => new Directory(name, files));
}
