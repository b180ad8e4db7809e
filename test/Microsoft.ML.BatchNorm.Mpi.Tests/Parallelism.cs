// Each job has several processes, and those of MPICH do not yield while they wait.
[assembly: DoNotParallelize]
