// One after the other: libtorch has threads of its own, and the number of live tensors is the process's.
[assembly: DoNotParallelize]
