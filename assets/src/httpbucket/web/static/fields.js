// The fields for templates: what is filled in, and where files appear by that.

const form = document.querySelector("#upload");

export const fields = [...form.querySelectorAll("fieldset input")];

// What goes with every file: the fields that are filled in.
export function filledIn() {
  const filled = fields.map(({ name, value }) => [name, value.trim()]);
  return Object.fromEntries(filled.filter(([, value]) => value));
}

export function isSame(one, other) {
  const [first, second] = [one, other].map((said) => JSON.stringify(Object.entries(said).sort()));
  return first === second;
}

// Fill the fields as they were, unless the person was faster.
export function restore(said) {
  if (Object.keys(filledIn()).length > 0) return;
  for (const field of fields) field.value = said[field.name] ?? "";
  showTemplates();
}

export function showTemplates() {
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
