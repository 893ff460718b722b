export { AuthError } from './errors.js';
