package org.winnow.fuzz;

import java.lang.reflect.Proxy;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import org.winnow.Tensor;
import org.winnow.moe.Experts;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;

/** One thread that calls methods, one after the other, with a generator of its own. */
final class Lane implements Hostile.Caller {
  private static final Set<String> HOLDING =
      Set.of("acquire", "acquireAsRead", "acquireAll", "hold");

  /** Any number would write so many bytes to a disk, or start so many threads. */
  private static final Pattern OF_THE_MACHINE =
      Pattern.compile("DiskProbe\\.read.*|CpuBackend\\.new\\(InstructionSet,int\\)");

  private static final Pattern COMPUTING =
      Pattern.compile(
          "run.*|forward|append.*|read|next|acquire|acquireAsRead|hold|choose|route|sample|build|copyFrom|angles|set.*");

  private static final int OF_COMPUTING = 8;
  private static final long SLOW_NANOS = 100_000;
  private static final double CLOSING = 0.03;
  private static final int MOST_CALLS_HELD = 6;

  /**
   * One lane at a time holds experts: two that hold some may wait for each other, as documented.
   */
  private static final AtomicReference<Lane> HOLDER = new AtomicReference<>();

  private final World world;
  private final Values values;
  private final Outcomes outcomes;
  private final Taint taint;
  private final CallLog log;
  private final List<ExportedApi.Member> members;
  private final long[] nanos;
  private final long[] calls;
  private final ExecutorService helper; // null where another lane is the other thread
  private final ExportedApi.Member secondHalf; // of a layer that holds its experts
  private Object held;
  private int callsHeld;

  /** When the call began that runs now; 0 between calls. */
  volatile long since;

  volatile String running = "";

  Lane(
      World world,
      List<ExportedApi.Member> members,
      Outcomes outcomes,
      Taint taint,
      CallLog log,
      long seed,
      boolean alone) {
    this.world = world;
    this.members = members;
    this.outcomes = outcomes;
    this.taint = taint;
    this.log = log;
    this.secondHalf =
        members.stream()
            .filter(member -> member.executable().getName().equals("computeHeld"))
            .findFirst()
            .orElse(null);
    this.nanos = new long[members.size()];
    this.calls = new long[members.size()];
    Hostile hostile = new Hostile(world, alone ? this : new Silent(this), seed);
    this.values = new Values(world, hostile);
    world.hostile = hostile;
    world.taint = taint;
    this.helper =
        alone
            ? Executors.newSingleThreadExecutor(
                task -> {
                  Thread thread = new Thread(task, "fuzz-helper");
                  thread.setDaemon(true);
                  return thread;
                })
            : null;
  }

  /** For the test of the campaign: in a call that never ends. */
  static Lane thatHangs() {
    World world = new World(0, new Pool(), null);
    Lane lane = new Lane(world, List.of(), null, new Taint(), null, 0, false);
    lane.since = System.nanoTime();
    return lane;
  }

  /** Calls one method, and gives back what was held for long enough. */
  void step() {
    int i = world.below(members.size());
    if (calls[i] > 20 && nanos[i] / calls[i] > SLOW_NANOS) {
      if (world.chance(1 - (double) SLOW_NANOS * calls[i] / nanos[i])) return;
    }
    long start = System.nanoTime();
    if (held instanceof MoeLayer && secondHalf != null && world.chance(0.3)) {
      call(secondHalf, world, false);
    }
    call(members.get(i), world, helper != null && held == null && world.chance(0.1));
    nanos[i] += System.nanoTime() - start;
    calls[i]++;
    if (held != null && (++callsHeld > MOST_CALLS_HELD || world.chance(0.2))) release();
    if (world.chance(CLOSING)) close(world.pool.any(AutoCloseable.class, world.random));
    for (Object gone : world.pool.overflow(world.random)) close(gone);
  }

  /** At the end: gives back what is held. */
  void finish() {
    if (held != null) release();
    if (helper != null) helper.shutdown();
  }

  @Override
  public void callSomething(World own) {
    ExportedApi.Member member = members.get(own.below(members.size()));
    if (HOLDING.contains(member.executable().getName())) return;
    call(member, own, false);
  }

  @Override
  public Object any(World own, Class<?> type, Type generic) {
    return new Values(own, new Hostile(own, this, own.random.nextLong())).any(type, generic);
  }

  private void call(ExportedApi.Member member, World own, boolean elsewhere) {
    Object[] all;
    long before = since;
    since = System.nanoTime();
    running = "arguments of " + member;
    try {
      all = arguments(member, own);
    } catch (RuntimeException | Error e) {
      outcomes.elsewhere("arguments of " + member, e, true);
      return;
    } finally {
      since = before;
    }
    if (all == null) return;
    boolean holds = HOLDING.contains(member.executable().getName());
    if (holds && (all[0] instanceof Proxy || !HOLDER.compareAndSet(null, this))) return;
    boolean another = all.length > 0 && all[0] instanceof MoeLayer && all[0] != held;
    if (held != null && helper == null && another) return; // may wait for whom we keep waiting
    Object receiver = member.needsReceiver() ? all[0] : null;
    Object[] arguments =
        member.needsReceiver() ? java.util.Arrays.copyOfRange(all, 1, all.length) : all;
    String text = Describe.call(member, all);
    log.write(text + (elsewhere && !holds ? " on another thread" : ""));
    boolean hasNull = taint.hasNull(all);
    boolean huge = Describe.isHuge(all);
    since = System.nanoTime();
    running = text;
    boolean kept = false;
    try {
      Object result =
          elsewhere && !holds
              ? onHelper(() -> invoke(member, receiver, arguments))
              : member.call(receiver, arguments);
      kept = holds && !Boolean.FALSE.equals(result);
      if (kept) {
        held = receiver;
        world.held = receiver;
        callsHeld = 0;
      }
      outcomes.value(member.key());
      taint.pass(all, receiver, result);
      keep(result, own, huge);
    } catch (Throwable e) {
      outcomes.thrown(member.key(), e, hasNull, huge, text);
    } finally {
      since = before;
      if (holds && !kept) HOLDER.set(null);
    }
  }

  private static Object invoke(ExportedApi.Member member, Object receiver, Object[] arguments)
      throws Exception {
    try {
      return member.call(receiver, arguments);
    } catch (Exception | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private Object onHelper(Callable<Object> call) throws Throwable {
    try {
      return helper.submit(call).get();
    } catch (java.util.concurrent.ExecutionException e) {
      throw e.getCause();
    }
  }

  /** The receiver and the arguments, those of a recipe with a few of them replaced. */
  private Object[] arguments(ExportedApi.Member member, World own) {
    Recipes.Arguments recipe = Recipes.forCall(member.key());
    Class<?>[] types = member.executable().getParameterTypes();
    Type[] generics = member.executable().getGenericParameterTypes();
    int first = member.needsReceiver() ? 1 : 0;
    boolean asRecipe =
        UnsafeMethods.ALL.contains(member.key()) || OF_THE_MACHINE.matcher(member.key()).matches();
    Object[] all = recipe != null && (asRecipe || own.chance(0.85)) ? recipe.apply(own) : null;
    if (all == null) {
      if (asRecipe && types.length > 0) return null;
      all = new Object[first + types.length];
      if (first == 1) {
        all[0] = own.chance(0.85) ? own.pool.any(member.owner(), own.random) : null;
        if (all[0] == null) all[0] = Recipes.make(member.owner(), own);
        if (all[0] == null) all[0] = own.pool.any(member.owner(), own.random);
        if (all[0] == null && member.owner().isEnum())
          all[0] = own.pick(member.owner().getEnumConstants());
        if (all[0] == null) return null;
      }
      for (int i = 0; i < types.length; i++) {
        // a generic parameter's types and erased ones differ in number for some constructors
        Type generic = i < generics.length ? generics[i] : types[i];
        all[first + i] = values.any(types[i], generic);
        if (member.owner().isEnum() && types[i] == String.class && own.chance(0.7))
          all[first + i] = ((Enum<?>) own.pick(member.owner().getEnumConstants())).name();
      }
      return all;
    }
    if (asRecipe) return all;
    for (int i = 0; i < types.length; i++) {
      if (own.chance(0.05)) all[first + i] = values.any(types[i], generics[i]);
      if (i > 0 && types[i] == types[i - 1] && own.chance(0.03))
        all[first + i] = all[first + i - 1];
    }
    return all;
  }

  private void keep(Object result, World own, boolean huge) {
    if (result == null || result instanceof Proxy) return;
    boolean large = result instanceof Tensor tensor && tensor.sizeBytes() > 8 << 20;
    if (large || (huge && result instanceof AutoCloseable)) {
      close(result);
      return;
    }
    if (result instanceof Tensor[] || result instanceof Collection<?>) return;
    if (result.getClass().getPackageName().startsWith("org.winnow") && !result.getClass().isEnum())
      own.keep(result);
  }

  /** Not what a hostile implementation gave: its own close is its own affair. */
  private void close(Object gone) {
    if (!(gone instanceof AutoCloseable closeable) || gone instanceof Proxy) return;
    String text = "close() of " + Describe.value(gone) + " by the pool";
    log.write(text);
    since = System.nanoTime();
    running = text;
    try {
      closeable.close();
    } catch (Throwable e) {
      outcomes.elsewhere(text, e, true);
    } finally {
      since = 0;
    }
  }

  private void release() {
    Object giving = held;
    held = null;
    world.held = null;
    String text = "release() of " + Describe.value(giving);
    log.write(text);
    since = System.nanoTime();
    running = text;
    try {
      if (giving instanceof MoeLayer layer) layer.release();
      else ((Experts) giving).release();
      outcomes.value(giving instanceof MoeLayer ? "MoeLayer.release()" : "Experts.release()");
      if (giving instanceof ResidentExperts) outcomes.value("ResidentExperts.release()");
    } catch (RuntimeException | Error e) {
      outcomes.elsewhere(text, e, true);
    } finally {
      since = 0;
      HOLDER.set(null);
    }
  }

  /** For lanes that share a pool: a call back from inside a lock may wait for the other lane. */
  private record Silent(Lane lane) implements Hostile.Caller {
    @Override
    public void callSomething(World own) {}

    @Override
    public Object any(World own, Class<?> type, Type generic) {
      return lane.any(own, type, generic);
    }
  }

  /** What a lane draws from: a method that computes stands there more often than one that tells. */
  static List<ExportedApi.Member> callable(List<ExportedApi.Member> members, String skip) {
    List<ExportedApi.Member> callable = new ArrayList<>();
    for (ExportedApi.Member member : members) {
      if (!skip.isEmpty() && member.key().matches(skip)) continue;
      boolean fits = Recipes.forCall(member.key()) != null;
      boolean computes = fits && COMPUTING.matcher(member.executable().getName()).matches();
      callable.addAll(Collections.nCopies(computes ? OF_COMPUTING : fits ? 2 : 1, member));
    }
    return callable;
  }
}
