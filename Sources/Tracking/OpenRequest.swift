import DCC

/// A request that a transaction works on.
final class OpenRequest {
    var number: Int64
    var user: Int64
    var time: Int64
    var wall: Int64
    /// Of the request itself; its status is that of `shown`.
    var key: CountKey
    /// What was said of the request itself.
    var said: TrackingStatus
    /// As in its row.
    let shown: (status: TrackingStatus, isReported: Bool)
    /// Its user has acknowledged what was said of the request itself.
    var isTold: Bool
    /// How many devices stand how, and how that differs from what is written.
    var standing: [CountKey: Int64] = [:]
    var changed: [CountKey: Int64] = [:]
    /// Where the next device goes.
    var position: Int64 = 0
    /// Virtual, of the last that was heard; nil if nothing was in this transaction.
    var heard: Int64?

    init(
        number: Int64, user: Int64, time: Int64, wall: Int64, key: CountKey, said: TrackingStatus
    ) {
        self.number = number
        self.user = user
        self.time = time
        self.wall = wall
        self.key = key
        self.said = said
        shown = (key.status, key.isReported)
        isTold = key.isReported
    }

    /// What a device counts as. Of one that is not in the inventory, what is not known is as the
    /// request says, so that lists and counts are of the same devices.
    func counted(_ own: CountKey) -> CountKey {
        var all = own
        if own.type.isEmpty { all.type = key.type }
        if own.manufacturer.isEmpty { all.manufacturer = key.manufacturer }
        if own.version == -1 { all.version = key.version }
        return all
    }

    /// What `count` was last told, in one go: the devices of a request are much alike.
    private var run: (key: CountKey, count: Int64)?

    func count(_ key: CountKey, _ count: Int64) {
        if let last = run, last.key == key {
            run?.count = last.count + count
            return
        }
        settle()
        run = (key, count)
    }

    /// Brings `standing` and `changed` up to date.
    func settle() {
        guard let (key, count) = run else { return }
        standing[key, default: 0] += count
        changed[key, default: 0] += count
        run = nil
    }

    /// Where the request stands, and whether its user has acknowledged all of it.
    func sum() -> (status: TrackingStatus, isReported: Bool) {
        var counts: [TrackingStatus: Int] = [:]
        var (isReported, isAll) = (false, true)
        for (key, count) in standing where count > 0 {
            counts[key.status, default: 0] += Int(count)
            if key.isReported { isReported = true } else if key.status != .refused { isAll = false }
        }
        guard let status = TrackingStatus.ofRequest(counts) else { return (said, isTold) }
        return (status, isReported && isAll)
    }
}
