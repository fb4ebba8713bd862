// Sizes, speeds and times, as people read them.

export function showSize(size) {
  let amount = size;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (amount < 1023.95) return `${shorten(amount)} ${unit}`;
    amount /= 1024;
  }
  return `${shorten(amount)} TB`;
}

function shorten(amount) {
  return amount.toFixed(1).replace(/\.0$/, "");
}

// Samples are pairs of seconds and bytes; what is left is told once there is a speed.
export function showPace(samples, total) {
  const [[start, sentThen], [now, sent]] = [samples[0], samples.at(-1)];
  const speed = (sent - sentThen) / (now - start);
  // The first moment only fills buffers.
  if (now - start < 0.5 || !(speed > 0)) return [];
  return [`${showSize(speed)}/s`, `${showDuration((total - sent) / speed)} left`];
}

function showDuration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 59.5) return `${Math.max(1, Math.round(seconds))} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
