import { deepEqual, equal, ok } from 'node:assert/strict';

import { expect, test } from 'vitest';

import { requestText, sendRaw } from '../../support/raw-http.js';
import type { Outcome } from '../../support/run.js';
import { judgeResponse, type ResponseMode } from './authorization-response.js';
import { code, json, newBench, type Bench } from './bench.js';
import { campaign, campaignTimeout } from './campaign.js';
import { mutatedQuery } from './mutated-query.js';
import { assertContract } from './outcome-rules.js';
import { goodIdToken } from './signed-jwt.js';

const modes: readonly ResponseMode[] = ['query', 'form_post'];

test.each(modes)('an authorization response by %s', { timeout: campaignTimeout }, async (mode) => {
  const bench = await newBench();
  const { issuer, requests } = bench.acme;
  let login: WaitingLogin | undefined;
  const failures = await campaign(`authorization response by ${mode}`, 100, async (chance, note) => {
    login ??= await startLogin(bench, mode);
    const { state, redirectUri, outcome } = login;
    const sent = mutatedQuery({ code, state, iss: issuer }, chance);
    note('sent', sent);
    const { findings, end } = judgeResponse(sent, { mode, state, issuer });
    const seen = requests.length;
    const reply = await sendRaw(redirectUri, requestOf(mode, redirectUri, sent));
    note('reply', reply.status);
    const isEnd = /You are signed in|Sign-in failed/.test(reply.body);
    if (isEnd) login = undefined;
    if (end !== undefined) equal(isEnd ? 'ends' : 'waits', end.kind);
    equal(reply.body.match(/<script/g)?.length, 1);
    ok(!reply.body.includes(state), 'the state stands in the page');
    if (!isEnd) {
      ok([400, 413, 431].includes(reply.status), 'another status');
      return findings;
    }
    const ended = await outcome;
    note('outcome', ended);
    assertContract(ended);
    equal(reply.status, ended.exitCode === 0 ? 200 : 400);
    ok(end?.kind !== 'ends' || end.exitCodes.includes(ended.exitCode ?? 1), `exit ${ended.exitCode}`);
    const redeemed = requests.slice(seen).flatMap(({ path, parameters }) => {
      return path === '/token' ? [parameters['code']] : [];
    });
    if (ended.exitCode !== 0) deepEqual(redeemed, []);
    else if (end?.kind === 'ends') deepEqual(redeemed, [end.code]);
    return findings;
  });
  expect(failures).toBe('');

  login ??= await startLogin(bench, mode);
  const { state, redirectUri, outcome } = login;
  const good = new URLSearchParams({ code, state, iss: issuer }).toString();
  await sendRaw(redirectUri, requestOf(mode, redirectUri, Buffer.from(good)));
  expect(await outcome).toMatchObject({ exitCode: 0 });
});

function requestOf(mode: ResponseMode, redirectUri: string, sent: Buffer): Buffer {
  if (mode === 'query') {
    return Buffer.from(requestText(redirectUri, `/callback?${sent.toString('latin1')}`), 'latin1');
  }
  const lines = ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${sent.length}`];
  return Buffer.concat([Buffer.from(requestText(redirectUri, '/callback', lines, 'POST')), sent]);
}

interface WaitingLogin {
  readonly state: string;
  readonly redirectUri: string;
  readonly outcome: Promise<Outcome>;
}

async function startLogin({ acme, machine }: Bench, mode: ResponseMode): Promise<WaitingLogin> {
  let outcome: Promise<Outcome> | undefined;
  const url = await new Promise<URL>((resolve) => {
    outcome = machine.run(['login', '-q', '--response-mode', mode], {
      openBrowser: async (authorizationUrl) => {
        resolve(authorizationUrl);
        return { kind: 'launched' };
      },
    });
  });
  if (outcome === undefined) throw new Error('the sign-in was not started');
  const { searchParams } = url;
  const idToken = goodIdToken(acme.issuer, searchParams.get('nonce') ?? '');
  const body = JSON.stringify({ access_token: 'a', token_type: 'bearer', id_token: idToken });
  acme.answerAlways('/token', { status: 200, headers: json, body });
  const state = searchParams.get('state') ?? '';
  return { state, redirectUri: searchParams.get('redirect_uri') ?? '', outcome };
}
