// One request to the server: what is sent has progress, and it can be stopped.

// No answer came.
export class Broken extends Error {
  constructor() {
    super("The connection broke, or the file cannot be read any more.");
  }
}

// The server answered otherwise than was hoped for.
export class Refused extends Error {
  constructor(request) {
    const answer = parse(request.responseText);
    const otherwise = `The server answered ${request.status} ${request.statusText}`.trim();
    super(answer.error ?? `${otherwise}.`);
    this.status = request.status;
    this.problem = answer.problem;
  }
}

// The answered request; whatever its status is. Rejects as `Broken`, or with the signal's reason.
//
// Where ``patienceSeconds`` are given, the request is given up when for so long nothing more goes out
// and, unless it ``isSlow``, no answer comes; and when the browser goes offline. A connection that
// died without a word would else be waited for until the operating system gives up, a quarter of an
// hour.
export function ask(method, address, options = {}) {
  const { headers = {}, body = null, signal, onProgress, onSent, patienceSeconds, isSlow } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const watch = patienceSeconds ? new Patience(patienceSeconds, stop) : null;
    request.upload.onprogress = ({ loaded, total }) => {
      watch?.restart();
      onProgress?.(loaded, total);
    };
    request.upload.onload = () => {
      if (isSlow) watch?.pause();
      onSent?.();
    };
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Broken());
    request.onabort = () => reject(signal?.aborted ? signal.reason : new Broken());
    request.onloadend = () => {
      watch?.end();
      signal?.removeEventListener("abort", stop);
    };
    signal?.addEventListener("abort", stop);
    request.open(method, address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

// What the server kept, of an answer with a receipt. Throws `Refused`.
export function keptUpload(request) {
  const { upload } = parse(request.responseText);
  if (request.status !== 200 || !upload) throw new Refused(request);
  return upload;
}

class Patience {
  constructor(seconds, giveUp) {
    this.milliseconds = seconds * 1000;
    this.giveUp = giveUp;
    window.addEventListener("offline", giveUp);
    this.restart();
  }

  restart() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.giveUp, this.milliseconds);
  }

  pause() {
    clearTimeout(this.timer);
  }

  end() {
    this.pause();
    window.removeEventListener("offline", this.giveUp);
  }
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
