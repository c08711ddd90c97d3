//! Memory that a training step frees stays with the process, in huge pages; and how much memory there is.
//!
//! glibc gives freed blocks of a few megabytes back to the system, and the next step takes them
//! anew, page by page: at batch 4096 that is up to half of a step on the CPU. It reads how to
//! behave from the environment alone, before `main`.

/// Settings for glibc: no block of its own mapping, nothing given back, huge pages where the system
/// allows them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ENVIRONMENT: [(&str, &str); 3] = [
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", "17179869184"),
    ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
];

/// Starts the program again, in the same process, with those settings; a user's own are left alone.
///
/// If that does not work it goes on as it is, only slower.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep() {
    use std::os::unix::process::CommandExt;

    if ENVIRONMENT.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    if let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) {
        let _ = std::process::Command::new(program).arg0(name).args(arguments).envs(ENVIRONMENT).exec();
    }
}

/// Does nothing: outside glibc the allocator is taken as it is.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep() {}

/// Bytes that the program may still take: of the machine, or of the group of programs that it was put into; None where the
/// system does not say.
pub fn available() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // What the group reads from files counts as its own there, but makes room when it is needed.
    let of_group = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    let available = system.available_memory().min(of_group.unwrap_or(u64::MAX));
    (sysinfo::IS_SUPPORTED_SYSTEM && available > 0).then_some(available)
}
