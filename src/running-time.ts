const tickMs = 500;

/**
 * Aborts with `reason` after `ms` of this process's own time, of which none passes while it is stopped (SIGSTOP, a frozen container).
 * AbortSignal.timeout would fire on waking up, before an answer that came meanwhile is read: the new refresh token would be lost.
 */
export function abortAfter(ms: number, reason: Error): AbortSignal {
  const controller = new AbortController();
  let ticksLeft = Math.ceil(ms / tickMs);
  const timer = setInterval(() => {
    ticksLeft -= 1;
    if (ticksLeft > 0) return;
    clearInterval(timer);
    controller.abort(reason);
  }, tickMs);
  timer.unref();
  return controller.signal;
}
