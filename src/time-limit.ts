const longestTickMs = 500;

/**
 * What `signal` ends, ends with `reason` after this much of the process's own time. Nobody is kept from ending earlier.
 * While the process is stopped (SIGSTOP, a frozen container) none of it passes: AbortSignal.timeout would fire on waking up, before
 * an answer that came meanwhile is read, and with it a new refresh token would be lost.
 */
export function timeLimit(signal: AbortSignal, timeoutMs: number, reason: Error): AbortSignal {
  const limit = new AbortController();
  const ticks = Math.ceil(timeoutMs / longestTickMs);
  let ticksLeft = ticks;
  const timer = setInterval(() => {
    ticksLeft -= 1;
    if (ticksLeft > 0) return;
    clearInterval(timer);
    limit.abort(reason);
  }, timeoutMs / ticks);
  timer.unref();
  return AbortSignal.any([signal, limit.signal]);
}
