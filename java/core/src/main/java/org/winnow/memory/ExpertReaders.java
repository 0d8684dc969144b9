package org.winnow.memory;

import static org.winnow.memory.ExpertSlots.QUEUED;
import static org.winnow.memory.ExpertSlots.QUEUED_AHEAD;
import static org.winnow.memory.ExpertSlots.READING;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.winnow.WinnowException;

/**
 * Reads experts into the slots that are queued for them: first those that a caller waits for, then
 * those to read ahead. It has threads that read, and callers that wait read along. All is called
 * with the cache's lock unless it says otherwise. The lock is released while an expert is read.
 *
 * <p>A thread is started when there is something to do, and ends when there has been nothing for a
 * while. So a cache that nobody uses has no threads, and nothing keeps it from being collected.
 */
final class ExpertReaders {
  /** Is told how work ended, with the lock. */
  interface Listener {
    void populated();

    void loaded(int slot, long readBytes, boolean ahead);

    void failed(int slot, RuntimeException failure, boolean ahead);
  }

  /**
   * Several reads in flight hide two delays: the kernel zeroes fresh pages first, and a thread
   * whose read has ended waits for a processor.
   */
  private static final int NUM_THREADS = 3;

  /**
   * An idle thread takes the memory of so many slots, or of so many bytes, from the system: to
   * clear pages takes as long as to read them.
   */
  private static final int MAX_POPULATED_AHEAD = 8;

  private static final long MAX_POPULATED_BYTES = 128 << 20;

  private static final long IDLE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final ReentrantLock lock;
  private final Condition work; // something is queued, or the threads are to end
  private final ExpertStore store;
  private final ExpertSlots slots;
  private final ExpertArena arena;
  private final Listener listener;
  private final int populatedAhead;
  private final IntQueue queued = new IntQueue(); // slots; those not QUEUED any more are stale
  private final IntQueue queuedAhead = new IntQueue();
  private int numReading;
  private int numThreads;
  private int numIdle; // of the threads
  private boolean ending;

  ExpertReaders(
      ReentrantLock lock,
      ExpertStore store,
      ExpertSlots slots,
      ExpertArena arena,
      Listener listener) {
    this.lock = lock;
    this.work = lock.newCondition();
    this.store = store;
    this.slots = slots;
    this.arena = arena;
    this.listener = listener;
    this.populatedAhead =
        arena.takesMemoryLate()
            ? (int)
                Math.max(1, Math.min(MAX_POPULATED_AHEAD, MAX_POPULATED_BYTES / store.slotBytes()))
            : 0;
  }

  /** Sees to it that a thread looks at the queues. */
  void wake() {
    if (numThreads == NUM_THREADS || ending) work.signal();
    else start();
  }

  /** Takes memory for the first slots. Called once, without the lock. */
  void begin() {
    lock.lock();
    try {
      wakeToPopulate();
    } finally {
      lock.unlock();
    }
  }

  /** Sees to it that the slots which will be taken next get their memory while nothing is read. */
  void wakeToPopulate() {
    if (ending || !slots.hasToPopulate(populatedAhead)) return;
    if (numIdle > 0) work.signal();
    else if (numThreads == 0) start(); // others look when they have read
  }

  private void start() {
    try {
      Thread thread = new Thread(this::readUntilIdle, "winnow-expert-reader-" + numThreads);
      thread.setDaemon(true);
      thread.start();
      numThreads++;
    } catch (OutOfMemoryError e) { // the system refuses a thread: those that wait read themselves
      work.signal();
    }
  }

  /** Queues a slot in state QUEUED. The caller reads it, or sees to it that another does. */
  void add(int slot) {
    queued.add(slot);
  }

  /** Queues a slot in state QUEUED for any thread. */
  void addForAll(int slot) {
    queued.add(slot);
    wake();
  }

  /** Queues a slot in state QUEUED_AHEAD. */
  void addAhead(int slot) {
    queuedAhead.add(slot);
    wake();
  }

  /** Reads one of the experts that somebody waits for; false if none is queued. */
  boolean readOne() {
    int slot = poll(queued, QUEUED);
    if (slot >= 0) load(slot);
    return slot >= 0;
  }

  boolean isReading() {
    return numReading > 0;
  }

  /** Lets the threads end; what is queued is left to those who wait for it. */
  void end() {
    ending = true;
    work.signalAll();
  }

  private void readUntilIdle() {
    lock.lock();
    try {
      for (boolean idle = false; !ending; ) {
        if (readOne() || readOneAhead() || populateOne()) idle = false;
        else if (idle) return;
        else idle = !awaitWork();
      }
    } finally {
      numThreads--;
      lock.unlock();
    }
  }

  private boolean readOneAhead() {
    int slot = poll(queuedAhead, QUEUED_AHEAD);
    if (slot >= 0) load(slot);
    return slot >= 0;
  }

  /** Prepares the reads that will come; false if nothing is to be done. */
  private boolean populateOne() {
    int slot = slots.nextToPopulate(populatedAhead);
    if (slot < 0) return false;
    numReading++; // who closes the arena waits for it
    lock.unlock();
    try {
      arena.populate(slot);
    } finally {
      lock.lock();
      numReading--;
      listener.populated();
    }
    return true;
  }

  /** Returns false if there was none for a while. */
  private boolean awaitWork() {
    numIdle++;
    try {
      return work.awaitNanos(IDLE_NANOS) > 0;
    } catch (InterruptedException e) {
      return true; // nobody but a program that looks for threads does this
    } finally {
      numIdle--;
    }
  }

  /** The next slot of a queue that is still in that state, or -1. */
  private int poll(IntQueue queue, int state) {
    for (; ; ) {
      int slot = queue.poll();
      if (slot < 0 || slots.state[slot] == state) return slot;
    }
  }

  private void load(int slot) {
    int layer = store.layerOf(slots.expertOf[slot]);
    int expert = slots.expertOf[slot] - store.index(layer, 0);
    boolean readAhead = slots.state[slot] == QUEUED_AHEAD;
    slots.state[slot] = READING;
    numReading++;
    lock.unlock();
    ExpertEvents.@Nullable Load event = ExpertEvents.beginLoad();
    long bytes = 0;
    RuntimeException failure = null;
    try {
      String what = "layer " + layer + ", expert " + expert;
      bytes = arena.load(store.layout(layer, expert), slot, what);
    } catch (RuntimeException e) {
      failure = e;
    } catch (Error e) { // such as out of memory: for who waits, this thread goes on
      failure = new WinnowException("expert could not be loaded: " + e, e);
    } finally {
      lock.lock();
    }
    if (event != null) event.commit(layer, expert, bytes, readAhead, failure);
    numReading--;
    if (failure == null) listener.loaded(slot, bytes, readAhead);
    else listener.failed(slot, failure, readAhead);
  }
}
