/** The package brings no types of its own. */
declare module 'cluster-key-slot' {
  /** The slot (0 to 16383) of a key in a Redis Cluster, by its hash tag where it has one. */
  export default function calculateSlot(key: string): number;
}
