package org.winnow.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class NativeCallTest {
  private final ExecutorService closer = Executors.newSingleThreadExecutor();
  private final ExecutorService caller = Executors.newSingleThreadExecutor();

  @AfterEach
  void endThreads() {
    closer.shutdown();
    caller.shutdown();
  }

  @Test
  void aCloserWaitsForTheCallThatRuns() throws Exception {
    CountDownLatch entered = new CountDownLatch(1);
    CountDownLatch leave = new CountDownLatch(1);
    Future<?> called =
        caller.submit(
            () -> {
              NativeCall outer = NativeCall.enter();
              NativeCall.enter().exit(); // a nested call ends nothing
              entered.countDown();
              leave.await();
              outer.exit();
              return null;
            });
    entered.await();
    Future<?> closed = closer.submit(NativeCall::awaitRunning);
    assertThatThrownBy(() -> closed.get(200, TimeUnit.MILLISECONDS))
        .isInstanceOf(TimeoutException.class);
    leave.countDown();
    closed.get();
    called.get();
  }

  @Test
  void aCloserDoesNotWaitForCallsThatBeginLater() throws Exception {
    AtomicBoolean done = new AtomicBoolean();
    CountDownLatch begun = new CountDownLatch(1);
    Future<?> calls =
        caller.submit(
            () -> {
              while (!done.get()) {
                NativeCall call = NativeCall.enter();
                begun.countDown();
                Thread.onSpinWait();
                call.exit();
              }
            });
    begun.await();
    for (int i = 0; i < 1000; i++) closer.submit(NativeCall::awaitRunning).get();
    assertThat(calls.isDone()).isFalse();
    done.set(true);
    calls.get();
  }

  /** What a call uses is never freed under it: the mark is seen, or the closer waits. */
  @Test
  void aCallSeesTheMarkOrIsWaitedFor() throws Exception {
    int numRounds = 300_000;
    Resource[] resources = Stream.generate(Resource::new).limit(numRounds).toArray(Resource[]::new);
    AtomicInteger turn = new AtomicInteger(-1);
    Future<Integer> sawFreed =
        caller.submit(
            () -> {
              int seen = 0;
              for (int round = 0; round < numRounds; round++) {
                Resource resource = resources[round];
                while (turn.get() < round) Thread.onSpinWait();
                NativeCall call = NativeCall.enter();
                if (!resource.closed) for (int i = 0; i < 200; i++) if (resource.freed) seen++;
                call.exit();
              }
              return seen;
            });
    for (int round = 0; round < numRounds; round++) {
      turn.set(round); // both go
      resources[round].closed = true;
      NativeCall.awaitRunning();
      resources[round].freed = true;
    }
    assertThat(sawFreed.get()).isZero();
  }

  @Test
  void aThreadThatHasEndedIsNotWaitedFor() throws Exception {
    Thread ended = new Thread(() -> NativeCall.enter().exit());
    ended.start();
    ended.join();
    NativeCall.awaitRunning();
  }

  @Test
  void isNotClosedFromInside() {
    NativeCall call = NativeCall.enter();
    try {
      assertThatThrownBy(NativeCall::awaitRunning).isInstanceOf(IllegalStateException.class);
    } finally {
      call.exit();
    }
  }

  private static final class Resource {
    volatile boolean closed;
    volatile boolean freed;
  }

  /** More threads than have their instance at hand. */
  @Test
  void eachThreadHasAnInstanceOfItsOwn() throws Exception {
    int numThreads = 600;
    ExecutorService threads = Executors.newFixedThreadPool(numThreads);
    CyclicBarrier together = new CyclicBarrier(numThreads);
    try {
      List<Future<NativeCall>> found = new ArrayList<>();
      for (int i = 0; i < numThreads; i++)
        found.add(
            threads.submit(
                () -> {
                  together.await(); // all live at the same time
                  NativeCall first = NativeCall.enter();
                  NativeCall second = NativeCall.enter();
                  second.exit();
                  first.exit();
                  assertThat(second).isSameAs(first);
                  return first;
                }));
      Set<NativeCall> instances = Collections.newSetFromMap(new IdentityHashMap<>());
      for (Future<NativeCall> call : found) instances.add(call.get());
      assertThat(instances).hasSize(numThreads);
    } finally {
      threads.shutdown();
    }
  }
}
