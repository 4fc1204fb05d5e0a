import Wire

/// When a sleepy device is awake. It wakes on a fixed beat from its first join on.
struct Sleeper: Sendable {
    private(set) var isAwake = true
    private var nextWake = Instant.distantFuture
    private var wokeAt = Instant.zero
    private var lastActivity = Instant.zero
    private var sleepCheck = Instant.distantFuture
    private(set) var blocks = 0
    private var isStarted = false

    var nextDeadline: Instant { min(nextWake, sleepCheck) }

    /// The device has something to do besides its beat: it stays awake as if it had just woken.
    mutating func stayAwake(at now: Instant) {
        isAwake = true
        wokeAt = now
        lastActivity = now
        blocks = 0
    }

    mutating func wakeNow(at now: Instant) { if isStarted { nextWake = now } }

    mutating func noteActivity(at now: Instant) { lastActivity = now }
    mutating func countBlock(at now: Instant) {
        blocks += 1
        lastActivity = now
    }

    /// True if it has just woken.
    mutating func wakeIfDue(at now: Instant, _ settings: SleepSettings?) -> Bool {
        guard let settings, nextWake <= now else { return false }
        nextWake = now + settings.interval
        stayAwake(at: now)
        return true
    }

    /// Whether it should go to sleep now; otherwise `nextDeadline` says when to ask again.
    mutating func shouldSleep(at now: Instant, isBusy: Bool, _ settings: SleepSettings) -> Bool {
        guard isAwake else { return false }
        if !isStarted {
            isStarted = true
            nextWake = now + settings.interval
        }
        let spent =
            now >= wokeAt + settings.maximumAwake || blocks >= settings.blocksPerWake
        let idle = !isBusy && now >= lastActivity + settings.linger
        guard spent || idle else {
            sleepCheck = min(wokeAt + settings.maximumAwake, lastActivity + settings.linger)
            if sleepCheck <= now { sleepCheck = now + settings.linger }
            return false
        }
        isAwake = false
        sleepCheck = .distantFuture
        return true
    }
}
