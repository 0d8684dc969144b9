package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LimitsTest {
  @TempDir Path root;

  private void file(String name, String content) throws IOException {
    Path file = root.resolve(name);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }

  @Test
  void theLeastLimitOfAGroupAndThoseAboveItCounts() throws IOException {
    file("proc/self/cgroup", "0::/app/web\n");
    file("sys/fs/cgroup/app/memory.max", "629145600\n");
    file("sys/fs/cgroup/app/cpu.max", "150000 100000\n");
    file("sys/fs/cgroup/app/web/memory.max", "max\n");
    file("sys/fs/cgroup/app/web/memory.high", "524288000\n");
    file("sys/fs/cgroup/app/web/memory.current", "1048576\n");
    file("sys/fs/cgroup/app/web/memory.swap.max", "0\n");
    file("sys/fs/cgroup/app/web/cpu.max", "max 100000\n");
    file(
        "proc/self/limits",
        "Limit Soft Hard Units\n"
            + "Max locked memory         65536                unlimited            bytes\n"
            + "Max open files            1024                 4096                 files\n");
    assertThat(Limits.of(root))
        .isEqualTo(new Limits(600 << 20, 500 << 20, 1 << 20, 0, 1.5, 1024, 65536));
    assertThat(Limits.of(root).describe())
        .isEqualTo(
            "600 MiB of memory, 1.00 MiB in use, 0 B of swap, slowed down beyond 500 MiB,"
                + " time of 1.5 processors");
    assertThat(Limits.of(root).describeShell())
        .isEqualTo("1024 open files, 64.0 KiB locked memory");
  }

  @Test
  void versionOneLimitsMemoryWithSwap() throws IOException {
    file("proc/self/cgroup", "4:memory:/app\n3:cpu,cpuacct:/\n0::/\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    file("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "629145600\n");
    file("sys/fs/cgroup/memory/app/memory.memsw.limit_in_bytes", "734003200\n");
    file("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "4096\n");
    file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assertThat(Limits.of(root))
        .isEqualTo(
            new Limits(
                600 << 20,
                Limits.NONE,
                4096,
                100 << 20,
                Double.POSITIVE_INFINITY,
                Limits.NONE,
                Limits.NONE));
  }

  @Test
  void theGroupOfAContainerIsItsRoot() throws IOException {
    file("proc/self/cgroup", "4:memory:/docker/0123\n");
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n");
    assertThat(Limits.of(root).memoryBytes()).isEqualTo(1 << 20);
  }

  @Test
  void withoutGroupsNothingIsLimited() {
    assertThat(Limits.of(root).memoryBytes()).isEqualTo(Limits.NONE);
    assertThat(Limits.of(root).describe()).isEqualTo("memory not limited");
  }
}
