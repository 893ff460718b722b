/** The peer sent something that is not D-Bus. */
export class MalformedMessage extends Error {}
