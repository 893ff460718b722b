declare module 'fs-native-extensions' {
  const native: { readonly tryLock: (descriptor: number) => boolean };
  export default native;
}
