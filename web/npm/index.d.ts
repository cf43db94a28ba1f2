/** Which device computes. */
export type Backend = 'webgpu' | 'cpu';

/** What the network removes; `jpeg` are the traces of compression. */
export type Fault = 'noise' | 'blur' | 'rain' | 'haze' | 'jpeg';

export interface OpenOptions {
  /** `webgpu` (the default) gives way to the CPU where there is no usable GPU; `cpu` keeps off the GPU. */
  backend?: Backend;
  /** A weights file (safetensors, from `trainer export`) in place of the built-in weights. */
  weights?: Blob | BufferSource;
  /** Told what is being done, in words. */
  onStatus?: (text: string) => void;
  /** Told what the user should know, in words: that the GPU was refused and why, or that tiles became smaller. */
  onNote?: (text: string) => void;
}

export interface RestoreOptions {
  /** 0 (the photo as it is) to 1 (the restored one, the default). */
  strength?: number;
  /** How much of each fault is removed, 0 (it stays) to 1; all of those that are not named. Weights without a steering head refuse it. */
  removal?: Partial<Record<Fault, number>>;
  /** Aborting ends the work within two seconds; `restore` then fails with the signal's reason. */
  signal?: AbortSignal;
  /** Told how many tiles are done; begins again at 0 if the work does. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

export interface Restorer {
  /** The device that computes now. */
  readonly backend: Backend;
  /**
   * Restores a photo. Its pixels are copied at once; several photos are restored one after the other.
   * Those of display-p3 are converted to sRGB for the network and back.
   * @returns the restored pixels, of the same size, colour space and alpha (an `ImageBitmap` becomes sRGB)
   */
  restore(photo: ImageData | ImageBitmap, options?: RestoreOptions): Promise<ImageData>;
  /** Ends the workers; photos that are not finished fail. */
  close(): void;
}

/**
 * Loads the network and checks that this device computes with it what it is meant to.
 * @throws if the network cannot be loaded, the weights are not usable, or no device computes correctly
 */
export function open(options?: OpenOptions): Promise<Restorer>;
