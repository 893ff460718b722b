import { expect, test } from 'vitest';

import { newcomer } from '../support/newcomer.js';
import { pendingLogin } from './pending-login.js';

test('LST-12: a code with a wrong state is answered 400, redeems nothing, and the login goes on', async () => {
  const { acme, machine } = await newcomer();
  const login = await pendingLogin(machine);
  const junk = new URL(`?code=X&state=WRONG`, login.redirectUri);
  expect((await fetch(junk)).status).toBe(400);
  expect(acme.requestsTo('/token')).toEqual([]);
  expect(await login.signIn()).toMatchObject({ exitCode: 0, stdout: '' });
  expect(acme.requestsTo('/token')).toHaveLength(1);
});
