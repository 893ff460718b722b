import type { Adapter, AdapterPayload } from 'oidc-provider';

/** What the provider keeps of one kind (Session, Grant, RefreshToken …), in memory and for as long as it runs. */
export class ProviderStorage implements Adapter {
  readonly #records = new Map<string, AdapterPayload>();
  readonly #reuseGraceMs: number;

  /** @param reuseGraceMs for so long what was used once counts as unused, as with providers that forgive a lost answer */
  constructor(reuseGraceMs = 0) {
    this.#reuseGraceMs = reuseGraceMs;
  }

  async upsert(id: string, payload: AdapterPayload): Promise<void> {
    this.#records.set(id, payload);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const record = this.#records.get(id);
    const usedAt = typeof record?.consumed === 'number' ? record.consumed * 1000 : 0;
    const isForgiven = record !== undefined && Date.now() - usedAt < this.#reuseGraceMs;
    return isForgiven ? { ...record, consumed: undefined } : record;
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#first((record) => record.uid === uid);
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#first((record) => record.userCode === userCode);
  }

  async consume(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record !== undefined) record.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    this.#records.delete(id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [id, record] of this.#records) {
      if (record.grantId === grantId) this.#records.delete(id);
    }
  }

  clear(): void {
    this.#records.clear();
  }

  #first(matches: (record: AdapterPayload) => boolean): AdapterPayload | undefined {
    return [...this.#records.values()].find(matches);
  }
}
