import { describe, expect, test } from 'vitest';

import { readPastedResponse } from '../../src/callback/pasted-response.js';

const redirectUri = 'http://127.0.0.1:8910/callback';
const state = 'Xq0y4o0bYbQ0m1u5rC2o1A';
const query = `?code=SplxlOBeZQQYbYS6WxSbIA&state=${state}`;

describe('a pasted authorization response', () => {
  test.for([
    { what: 'the URL', line: `${redirectUri}${query}` },
    { what: 'the URL between spaces', line: `  ${redirectUri}${query}\t\r\n` },
    { what: 'the URL in quotes', line: `'${redirectUri}${query}'` },
    { what: 'the URL in angle brackets', line: `<${redirectUri}${query}>` },
    { what: 'the URL with a fragment of the provider', line: `${redirectUri}${query}#_=_` },
    { what: 'the URL without its scheme', line: `127.0.0.1:8910/callback${query}` },
    { what: 'path and query', line: `/callback${query}` },
    { what: 'the query', line: query },
    { what: 'the query without its mark', line: query.slice(1) },
  ])('may be $what', ({ line }) => {
    const response = readPastedResponse(line, redirectUri, state);
    expect(response).toEqual({ kind: 'response', url: new URL(`${redirectUri}${query}`) });
  });

  test('may be an error', () => {
    const line = `${redirectUri}?error=access_denied&state=${state}`;
    expect(readPastedResponse(line, redirectUri, state)).toEqual({ kind: 'response', url: new URL(line) });
  });

  test.for(['https://app.example/callback', 'com.example.app:/oauth', 'myapp://callback'])(
    'may belong to the redirect URI %s',
    (other) => {
      const response = { kind: 'response', url: new URL(`${other}${query}`) };
      expect(readPastedResponse(`${other}${query}`, other, state)).toEqual(response);
      expect(readPastedResponse(query, other, state)).toEqual(response);
      expect(readPastedResponse(`${redirectUri}${query}`, other, state)).toMatchObject({ kind: 'rejected' });
    },
  );
});

describe('a pasted code', () => {
  test.for([
    { line: 'SplxlOBeZQQYbYS6WxSbIA', code: 'SplxlOBeZQQYbYS6WxSbIA' },
    { line: ' 4/0AX4XfWh-_~. ', code: '4/0AX4XfWh-_~.' },
    { line: 'M.C105_BL2.2.U!x*$$', code: 'M.C105_BL2.2.U!x*$$' },
    { line: 'b2F1dGg==', code: 'b2F1dGg==' },
    { line: '4%2F0AX4%2B%3D', code: '4/0AX4+=' },
    { line: '100%code', code: '100%code' },
  ])('is taken as it is, but for the encoding of an address bar: $line', ({ line, code }) => {
    expect(readPastedResponse(line, redirectUri, state)).toEqual({ kind: 'code', code });
  });
});

describe('what cannot be used is rejected without repeating it', () => {
  const otherPlace = `the URL does not begin with ${redirectUri}`;
  const noState = 'the URL carries no state: paste all of it';
  const otherLogin = 'the URL belongs to another login';
  test.for([
    { line: '', reason: 'nothing was pasted' },
    { line: '  \t ', reason: 'nothing was pasted' },
    { line: 'two words', reason: 'it is neither the URL that the browser ended at nor a code' },
    { line: 'esc\u001b[2Jape', reason: 'it is neither the URL that the browser ended at nor a code' },
    { line: 'esc%1B[2Jape', reason: 'it is neither the URL that the browser ended at nor a code' },
    { line: 'cödé', reason: 'it is neither the URL that the browser ended at nor a code' },
    { line: 'http://[broken', reason: 'it is not a complete URL' },
    { line: `https://127.0.0.1:8910/callback${query}`, reason: otherPlace },
    { line: `http://127.0.0.1:8911/callback${query}`, reason: otherPlace },
    { line: `http://localhost:8910/callback${query}`, reason: otherPlace },
    { line: `http://127.0.0.1:8910/callback/${query}`, reason: otherPlace },
    { line: `http://user@127.0.0.1:8910/callback${query}`, reason: otherPlace },
    { line: `http://127.0.0.1:8910@evil.test/callback${query}`, reason: otherPlace },
    { line: `javascript://127.0.0.1:8910/callback${query}`, reason: otherPlace },
    { line: redirectUri, reason: noState },
    { line: `${redirectUri}?code=X`, reason: noState },
    { line: '?code=X', reason: noState },
    { line: `${redirectUri}#code=X&state=${state}`, reason: noState },
    { line: `${redirectUri}?code=X&state=WRONG`, reason: otherLogin },
    { line: `${redirectUri}?error=access_denied&state=WRONG`, reason: otherLogin },
    { line: `${redirectUri}?code=X&state=${state}&state=${state}`, reason: otherLogin },
    { line: `${redirectUri}?code=X&code=Y&state=${state}`, reason: 'it carries a parameter twice' },
    { line: `?code=X&error=e&state=${state}`, reason: 'it carries a code and an error together' },
    { line: `${redirectUri}?state=${state}`, reason: 'it carries neither a code nor an error' },
    {
      line: `${redirectUri}?code=X&response=e30&state=${state}`,
      reason: 'it carries a response object that was not asked for',
    },
  ])('$line', ({ line, reason }) => {
    expect(readPastedResponse(line, redirectUri, state)).toEqual({ kind: 'rejected', reason });
  });
});
