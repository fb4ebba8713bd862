// Remembers begun uploads beyond the page, where the browser has room for that.

// A page that sends says so again and again; one that was closed or died does not.
const BUSY_SECONDS = 10;

export class Memory {
  // ``place`` is what tells several servers behind one origin apart.
  constructor(place) {
    this.prefix = `unfinished upload ${place} `;
  }

  // A file is known again by what the browser tells of it without reading it.
  keyOf({ name, size, lastModified }) {
    return this.prefix + JSON.stringify([name, size, lastModified]);
  }

  // What was remembered under a key: address, name, size, said; null if nothing was.
  find(key) {
    return attempt(() => JSON.parse(localStorage.getItem(key)));
  }

  // The same, unless another page sends it.
  findIdle(key) {
    const entry = this.find(key);
    return entry && isIdle(entry) ? entry : null;
  }

  remember(key, entry) {
    attempt(() => localStorage.setItem(key, JSON.stringify({ ...entry, busy: Date.now() })));
  }

  forget(key) {
    attempt(() => localStorage.removeItem(key));
  }

  // Tell other pages that this one sends; they leave it alone.
  keepBusy(key) {
    const entry = this.find(key);
    if (entry && Date.now() - entry.busy > (BUSY_SECONDS * 1000) / 4) this.remember(key, entry);
  }

  // Let go of it, for another page to go on.
  release(key) {
    const entry = this.find(key);
    if (entry) attempt(() => localStorage.setItem(key, JSON.stringify({ ...entry, busy: 0 })));
  }

  // What no page is busy with: pairs of key and entry.
  idle() {
    const keys = attempt(() => Object.keys(localStorage)) ?? [];
    return keys
      .filter((key) => key.startsWith(this.prefix))
      .map((key) => [key, this.find(key)])
      .filter(([, entry]) => entry && isIdle(entry));
  }
}

function isIdle({ busy }) {
  return Date.now() - busy > BUSY_SECONDS * 1000;
}

function attempt(action) {
  try {
    return action();
  } catch {
    return null;
  }
}
