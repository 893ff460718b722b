/** Whoever opens a connection throws this while nothing of the request has been written to it. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}
