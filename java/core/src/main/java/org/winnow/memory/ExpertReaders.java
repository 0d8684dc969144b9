package org.winnow.memory;

import static org.winnow.memory.ExpertSlots.QUEUED;
import static org.winnow.memory.ExpertSlots.QUEUED_AHEAD;
import static org.winnow.memory.ExpertSlots.READING;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.winnow.WinnowException;

/**
 * Reads experts into the slots that are queued for them: first those that a caller waits for, then
 * those to read ahead. It has threads that read, and callers that wait read along. All is called
 * with the cache's lock unless it says otherwise. The lock is released while an expert is read.
 */
final class ExpertReaders {
  /** Is told how a read ended, with the lock. */
  interface Listener {
    void loaded(int slot, long readBytes, boolean ahead);

    void failed(int slot, RuntimeException failure, boolean ahead);
  }

  /**
   * Several reads in flight hide two delays: the kernel zeroes fresh pages first, and a thread
   * whose read has ended waits for a processor.
   */
  private static final int NUM_THREADS = 3;

  private final ReentrantLock lock;
  private final Condition work; // something is queued, or the threads are to end
  private final ExpertStore store;
  private final ExpertSlots slots;
  private final ExpertArena arena;
  private final Listener listener;
  private final IntQueue queued = new IntQueue(); // slots; those not QUEUED any more are stale
  private final IntQueue queuedAhead = new IntQueue();
  private int numReading;
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
  }

  /**
   * Starts the threads; called without the lock. If the system refuses one, those that started end.
   */
  void start() {
    try {
      for (int i = 0; i < NUM_THREADS; i++) {
        Thread thread = new Thread(this::readUntilTheEnd, "winnow-expert-reader-" + i);
        thread.setDaemon(true);
        thread.start();
      }
    } catch (Error e) {
      lock.lock();
      end();
      lock.unlock();
      throw e;
    }
  }

  /** Queues a slot in state QUEUED. The caller reads it, or sees to it that another does. */
  void add(int slot) {
    queued.add(slot);
  }

  /** Queues a slot in state QUEUED for any thread. */
  void addForAll(int slot) {
    queued.add(slot);
    work.signal();
  }

  /** Queues a slot in state QUEUED_AHEAD. */
  void addAhead(int slot) {
    queuedAhead.add(slot);
    work.signal();
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

  private void readUntilTheEnd() {
    lock.lock();
    try {
      while (!ending) {
        if (readOne()) continue;
        int slot = poll(queuedAhead, QUEUED_AHEAD);
        if (slot >= 0) load(slot);
        else work.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
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
    ExpertEvents.Load event = new ExpertEvents.Load();
    event.layer = store.layerOf(slots.expertOf[slot]);
    event.expert = slots.expertOf[slot] - store.index(event.layer, 0);
    event.readAhead = slots.state[slot] == QUEUED_AHEAD;
    slots.state[slot] = READING;
    numReading++;
    lock.unlock();
    event.begin();
    RuntimeException failure = null;
    try {
      String what = "layer " + event.layer + ", expert " + event.expert;
      event.bytes = arena.load(store.layout(event.layer, event.expert), slot, what);
    } catch (RuntimeException e) {
      failure = e;
    } catch (Error e) { // such as out of memory: for who waits, this thread goes on
      failure = new WinnowException("expert could not be loaded: " + e, e);
    } finally {
      lock.lock();
    }
    event.failure = failure == null ? null : failure.getMessage();
    event.commit();
    numReading--;
    if (failure == null) listener.loaded(slot, event.bytes, event.readAhead);
    else listener.failed(slot, failure, event.readAhead);
  }
}
