package org.winnow.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What a program can call: the public classes in the packages that a module exports to everyone,
 * with their constructors and methods. Found by reflection, so a class that moves is found again.
 */
final class ExportedApi {
  private static final Set<String> OF_OBJECT = Set.of("toString", "hashCode", "equals");

  private final List<Class<?>> classes;
  private final List<Member> members;

  /** A constructor or method, and how lists and reports call it. */
  record Member(Executable executable, String key) {
    boolean isStatic() {
      return Modifier.isStatic(executable.getModifiers());
    }

    boolean isConstructor() {
      return executable instanceof Constructor;
    }

    /** Whether a call needs an object to call it on. */
    boolean needsReceiver() {
      return !isConstructor() && !isStatic();
    }

    Class<?> owner() {
      return executable.getDeclaringClass();
    }

    Class<?> result() {
      return executable instanceof Method method ? method.getReturnType() : owner();
    }

    Object call(Object receiver, Object[] arguments) throws Throwable {
      try {
        return executable instanceof Method method
            ? method.invoke(receiver, arguments)
            : ((Constructor<?>) executable).newInstance(arguments);
      } catch (java.lang.reflect.InvocationTargetException e) {
        throw e.getCause();
      }
    }

    @Override
    public String toString() {
      return key;
    }
  }

  /** The module that a class comes from. */
  ExportedApi(Class<?> anchor) {
    classes = classesOf(anchor);
    members = membersOf(classes);
  }

  List<Class<?>> classes() {
    return classes;
  }

  /** In one order on every machine. */
  List<Member> members() {
    return members;
  }

  /** {@code Add.run(Backend,Tensor,Tensor)}; a constructor is called {@code new}. */
  static String key(Executable executable) {
    return simpleName(executable.getDeclaringClass())
        + "."
        + (executable instanceof Constructor ? "new" : executable.getName())
        + Arrays.stream(executable.getParameterTypes())
            .map(Class::getSimpleName)
            .collect(Collectors.joining(",", "(", ")"));
  }

  /** {@code TopKRouter.Builder}. */
  static String simpleName(Class<?> type) {
    Class<?> outer = type.getDeclaringClass();
    return (outer == null ? "" : simpleName(outer) + ".") + type.getSimpleName();
  }

  private static List<Class<?>> classesOf(Class<?> anchor) {
    ModuleReference module = moduleOf(anchor);
    Set<String> exported =
        module.descriptor().exports().stream()
            .filter(export -> !export.isQualified())
            .map(ModuleDescriptor.Exports::source)
            .collect(Collectors.toSet());
    try (ModuleReader reader = module.open()) {
      List<String> names =
          reader
              .list()
              .filter(name -> name.endsWith(".class") && name.contains("/"))
              .map(name -> name.substring(0, name.length() - ".class".length()).replace('/', '.'))
              .filter(name -> exported.contains(name.substring(0, name.lastIndexOf('.'))))
              .sorted()
              .toList();
      List<Class<?>> found = new ArrayList<>();
      for (String name : names) {
        if (name.endsWith("package-info")) continue;
        Class<?> type = Class.forName(name, false, anchor.getClassLoader());
        if (isVisible(type)) found.add(type);
      }
      return List.copyOf(found);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (ClassNotFoundException e) {
      throw new IllegalStateException(e);
    }
  }

  private static ModuleReference moduleOf(Class<?> anchor) {
    try {
      Path place = Path.of(anchor.getProtectionDomain().getCodeSource().getLocation().toURI());
      return ModuleFinder.of(place).findAll().iterator().next();
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static boolean isVisible(Class<?> type) {
    if (type.isAnonymousClass() || type.isLocalClass() || type.isSynthetic()) return false;
    if (!Modifier.isPublic(type.getModifiers())) return false;
    return type.getDeclaringClass() == null || isVisible(type.getDeclaringClass());
  }

  private static List<Member> membersOf(List<Class<?>> classes) {
    TreeMap<String, Member> found = new TreeMap<>();
    for (Class<?> type : classes) {
      if (!Modifier.isAbstract(type.getModifiers())) {
        for (Constructor<?> constructor : type.getConstructors()) add(found, constructor);
      }
      for (Method method : type.getMethods()) {
        if (method.isSynthetic() || method.isBridge()) continue;
        boolean ofObject =
            OF_OBJECT.contains(method.getName()) && method.getDeclaringClass() == type;
        if (ofObject || isOurs(method, classes)) add(found, method);
      }
    }
    List<Member> members = new ArrayList<>(found.values());
    members.sort(Comparator.comparing(Member::key));
    return List.copyOf(members);
  }

  private static boolean isOurs(Method method, List<Class<?>> classes) {
    String root = classes.get(0).getPackageName();
    return !OF_OBJECT.contains(method.getName())
        && method.getDeclaringClass().getPackageName().startsWith(root);
  }

  private static void add(TreeMap<String, Member> found, Executable executable) {
    executable.setAccessible(true); // an inherited method of a class that is not public itself
    Member member = new Member(executable, key(executable));
    found.putIfAbsent(member.owner().getName() + " " + member.key(), member);
  }
}
