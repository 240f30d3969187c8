// The part of Preact that the page uses, for `tsc --checkJs`; the minified file beside it carries no types.
export interface VNode { type: unknown; props: Record<string, any>; key: unknown }
export type Child = VNode | string | number | boolean | null | undefined | Child[];
export function h(type: any, props: any, ...children: any[]): VNode;
export function render(vnode: Child, parent: Element | DocumentFragment): void;
export const Fragment: (props: any) => any;
export class Component<P = any, S = any> {
  constructor(props?: P);
  props: P; state: S;
  setState(change: Partial<S>): void;
  forceUpdate(): void;
}
