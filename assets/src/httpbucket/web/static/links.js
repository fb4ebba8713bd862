// Where what was kept can be found.

const form = document.querySelector("#upload");

// List items: the file or directory itself, its replicas, what its producer should know.
export function names(upload) {
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
export function address(path, base = "") {
  return new URL(path, new URL(base, form.action)).href;
}
