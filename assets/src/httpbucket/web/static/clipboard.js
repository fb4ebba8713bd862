// Copies what a button is for.

const COPIED_SECONDS = 2;

export async function copy(text, button) {
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
