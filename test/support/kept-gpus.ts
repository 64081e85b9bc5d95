/** GPUs that tests keep open until the process ends, because opening them again is dear: no leak. */
export const kept = { gpus: 0 };
