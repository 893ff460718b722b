#!/usr/bin/env node
// Strangers at a listener, as a process of their own: flood.js REDIRECT_URI SLOW JUNK
// SLOW connections send a request byte by byte and come back when they are cut; others send whole requests. Says "done" when
// JUNK of those have ended, with how many got an answer, and goes on until it is killed.
import { connect } from 'node:net';
import { argv, stdout } from 'node:process';

const redirectUri = new URL(argv[2] ?? '');
const [slow, junk] = [Number(argv[3]), Number(argv[4])];
const request = `GET ${redirectUri.pathname}?code=forged&state=forged HTTP/1.1\r\nHost: ${redirectUri.host}\r\n\r\n`;
const pauseMs = 400;

/** @param {() => void} ended */
function open(ended) {
  const socket = connect(Number(redirectUri.port), redirectUri.hostname);
  return socket.on('error', () => {}).once('close', ended);
}

function trickle() {
  let sent = 0;
  const socket = open(() => {
    clearInterval(timer);
    setTimeout(trickle, pauseMs);
  });
  const timer = setInterval(() => socket.write(request.charAt(sent++)), pauseMs);
}

let ended = 0;
let answered = 0;
function forge() {
  let answer = '';
  const socket = open(() => {
    ended += 1;
    if (answer.startsWith('HTTP/1.1 400 ')) answered += 1;
    if (ended === junk) stdout.write(`done, ${answered} answered\n`);
    forge();
  });
  socket.setEncoding('latin1').on('data', (chunk) => (answer += chunk));
  socket.write(request);
}

for (let count = 0; count < slow; count++) trickle();
for (let worker = 0; worker < 10; worker++) forge();
