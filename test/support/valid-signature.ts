/**
 * The rules of the D-Bus specification for signatures, written down in another way than the client does it: complete types
 * are folded into a `B` (basic) or a `C` (container) until nothing changes.
 */
export function isValidSignature(signature: string): boolean {
  if (signature.length > 255 || deepest(signature, '(', ')') > 32 || deepestArrays(signature) > 32)
    return false;
  let folded = signature
    .replace(/[BC]/g, 'z')
    .replace(/[ybnqiuxtdsogh]/g, 'B')
    .replaceAll('v', 'C');
  for (let before = ''; before !== folded;) {
    before = folded;
    folded = folded.replace(/a\{B[BC]\}|a[BC]|\([BC]+\)/g, 'C');
  }
  return /^[BC]*$/.test(folded);
}

/** Entries of dictionaries count as structs. */
function deepest(signature: string, opening: string, closing: string): number {
  let depth = 0;
  let most = 0;
  for (const code of signature.replaceAll('{', opening).replaceAll('}', closing)) {
    if (code === opening) depth += 1;
    if (code === closing) depth -= 1;
    most = Math.max(most, depth);
  }
  return most;
}

/** An array is open until its element ends: a run of `a` ends with the type behind it, or with the bracket that it opens. */
function deepestArrays(signature: string): number {
  const openAt: number[] = [];
  let open = 0;
  let run = 0;
  let most = 0;
  for (const code of signature) {
    if (code === 'a') {
      run += 1;
      most = Math.max(most, open + run);
    } else if (code === '(' || code === '{') {
      openAt.push(run);
      open += run;
      run = 0;
    } else {
      if (code === ')' || code === '}') open -= openAt.pop() ?? 0;
      run = 0;
    }
  }
  return most;
}
