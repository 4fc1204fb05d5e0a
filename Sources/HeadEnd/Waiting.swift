import Glibc

/// A mutex.
final class Lock: @unchecked Sendable {
    fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func with<T>(_ body: () throws -> T) rethrows -> T {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}

/// A bounded queue between whoever asks and one thread that does.
final class BoundedQueue<Element>: @unchecked Sendable {
    enum Outcome {
        case taken
        case full
        case closed
    }

    private let lock = Lock()
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var elements: [Element] = []
    private var isClosed = true
    private let limit: Int

    init(limit: Int) {
        self.limit = limit
        condition = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Deadlines are not to move with the date.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
    }

    var count: Int { lock.with { elements.count } }

    func open() { lock.with { isClosed = false } }

    /// Nothing more is taken. What waits is still handed out.
    func close() {
        lock.with { isClosed = true }
        pthread_cond_signal(condition)
    }

    func put(_ element: Element) -> Outcome {
        let outcome: Outcome = lock.with {
            guard !isClosed else { return .closed }
            guard elements.count < limit else { return .full }
            elements.append(element)
            return .taken
        }
        if outcome == .taken { pthread_cond_signal(condition) }
        return outcome
    }

    /// All that wait, in order, and whether no more will come.
    func take() -> (elements: [Element], isClosed: Bool) {
        lock.with {
            defer { elements.removeAll(keepingCapacity: true) }
            return (elements, isClosed)
        }
    }

    /// Waits until something is there, the queue is closed, or the monotonic clock reads
    /// `deadline`, in seconds.
    func wait(until deadline: Double) {
        var time = timespec()
        time.tv_sec = Int(deadline)
        time.tv_nsec = Int((deadline - deadline.rounded(.down)) * 1e9)
        lock.with {
            while elements.isEmpty, !isClosed {
                guard pthread_cond_timedwait(condition, lock.mutex, &time) != ETIMEDOUT else {
                    return
                }
            }
        }
    }
}

/// A thread that runs one body.
final class OwnThread: @unchecked Sendable {
    private let body: @Sendable () -> Void
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    /// False if the system has no room for another thread.
    func start() -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        // A home's nodes are large values.
        pthread_attr_setstacksize(&attributes, 8 << 20)
        let box = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, &attributes,
            { raw in
                let own = Unmanaged<OwnThread>.fromOpaque(raw!).takeRetainedValue()
                own.body()
                return nil
            }, box.toOpaque())
        if result != 0 { box.release() }
        return result == 0
    }

    /// Waits for the body's end.
    func join() { pthread_join(thread, nil) }
}
