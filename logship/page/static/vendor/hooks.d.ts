// The part of Preact's hooks that the page uses.
export interface Ref<T> { current: T }
export function useState<T>(first: T | (() => T)): [T, (next: T | ((old: T) => T)) => void];
export function useReducer<S, A>(reduce: (state: S, action: A) => S, first: S): [S, (action: A) => void];
export function useEffect(run: () => void | (() => void), when?: unknown[]): void;
export function useLayoutEffect(run: () => void | (() => void), when?: unknown[]): void;
export function useMemo<T>(make: () => T, when: unknown[]): T;
export function useCallback<T extends (...given: any[]) => any>(call: T, when: unknown[]): T;
export function useRef<T>(first: T): Ref<T>;
