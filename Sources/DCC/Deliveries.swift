import Wire

extension DCC {
    /// Hubs that are handed to their CSPs in one tick.
    private static let dispatchedHubs = 500

    /// Hands devices of accepted updates to the CSPs, hub by hub, a bounded number at a time.
    mutating func dispatchSome(at now: UTCTime, into out: inout DCCOutbox) {
        guard let id = undispatched.first, let update = updates[id] else { return }
        if dispatch.isEmpty { dispatch = plan(update) }
        for (hub, devices) in dispatch.prefix(Self.dispatchedHubs) {
            self.dispatch(devices, behind: hub, of: update, at: now, into: &out)
        }
        dispatch.removeFirst(min(Self.dispatchedHubs, dispatch.count))
        guard dispatch.isEmpty else { return }
        undispatched.removeFirst()
        proceed(id, into: &out) { $0.isDispatched = true }
    }

    /// The devices of an update that no CSP has yet, by hub, in the request's order.
    private func plan(_ update: UpdateRecord) -> [(hub: EUI64?, devices: [EUI64])] {
        var places: [EUI64?: Int] = [:]
        var plan: [(hub: EUI64?, devices: [EUI64])] = []
        for id in update.devices.ids where targets[id]?.request != update.id {
            let hub = devices[id]?.hub
            if let place = places[hub] {
                plan[place].devices.append(id)
            } else {
                places[hub] = plan.count
                plan.append((hub, [id]))
            }
        }
        return plan
    }

    private mutating func dispatch(
        _ ids: [EUI64], behind hub: EUI64?, of update: UpdateRecord, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        let deadline = UTCTime(
            secondsSince2000: now.secondsSince2000 &+ settings.updateTimeout)
        if hub != nil { counters.delivery += 1 }
        for id in ids {
            targets[id] = TargetRecord(
                device: id, request: update.id, status: .validated, percent: nil, isDone: false,
                deadline: deadline, delivery: hub == nil ? nil : counters.delivery)
            schedule(deadline, .target(id))
        }
        guard let hub else {
            let notice = alert(
                update.id.originator, .distributionFailure,
                .firmwareDistributionFailure(request: update.id, devices: ids), at: now,
                request: update.id, into: &out)
            for id in ids {
                advance(
                    id, to: .deliveryFailed, "the inventory knows no hub of the device",
                    notice: notice, at: now, into: &out)
            }
            return
        }
        let name = devices[hub]?.region ?? ""
        let region = settings.regions[name] ?? settings.defaultRegion
        let due = region.afterOutage(
            UTCTime(secondsSince2000: update.accepted.secondsSince2000 &+ region.delay))
        let delivery = DeliveryRecord(
            number: counters.delivery, request: update.id, hub: hub, targets: ids, region: name,
            state: .waiting, due: due, attempts: 0)
        deliveries[delivery.number] = delivery
        schedule(due, .delivery(delivery.number))
        out.items.append(.save(.delivery(delivery)))
        for id in ids {
            advance(
                id, to: .atCSP, "with the CSP, to be delivered from \(due.text) on", at: now,
                into: &out)
        }
    }

    private func settings(of delivery: DeliveryRecord) -> CSPRegion {
        settings.regions[delivery.region] ?? settings.defaultRegion
    }

    // MARK: - One delivery

    mutating func deliveryDue(_ number: UInt32, at now: UTCTime, into out: inout DCCOutbox) {
        guard let delivery = deliveries[number] else { return }
        switch delivery.state {
        case .sending:
            // Whatever of it is still on its way is not to come to its end after all.
            out.items.append(.abandon(delivery: number, hub: delivery.hub))
            failedAttempt(delivery, "its hub has not answered", at: now, into: &out)
        case .waiting: begin(delivery, at: now, into: &out)
        }
    }

    private mutating func begin(
        _ delivery: DeliveryRecord, at now: UTCTime, into out: inout DCCOutbox
    ) {
        let region = settings(of: delivery)
        let open = region.afterOutage(now)
        guard open == now else {
            postpone(delivery, to: open, "the CSP is out of service until \(open.text)", now, &out)
            return
        }
        guard regions[delivery.region, default: RegionState()].busy < max(region.capacity, 1) else {
            regions[delivery.region, default: RegionState()].waiting.append(delivery.number)
            return
        }
        guard let update = updates[delivery.request] else {
            drop(delivery, into: &out)
            return
        }
        regions[delivery.region, default: RegionState()].busy += 1
        var delivery = delivery
        delivery.state = .sending
        delivery.attempts += 1
        delivery.due = UTCTime(
            secondsSince2000: now.secondsSince2000 &+ max(region.attemptTimeout, 1))
        deliveries[delivery.number] = delivery
        schedule(delivery.due, .delivery(delivery.number))
        out.items.append(.save(.delivery(delivery)))
        for id in delivery.targets {
            advance(
                id, to: .delivering, "attempt \(delivery.attempts) of \(max(region.attempts, 1))",
                at: now, into: &out)
        }
        out.items.append(
            .deliver(
                ImageDelivery(
                    number: delivery.number, hub: delivery.hub, targets: delivery.targets,
                    image: update.image, installableFrom: update.installableFrom)))
    }

    private mutating func postpone(
        _ delivery: DeliveryRecord, to time: UTCTime, _ detail: String, _ now: UTCTime,
        _ out: inout DCCOutbox
    ) {
        var delivery = delivery
        delivery.state = .waiting
        delivery.due = time
        deliveries[delivery.number] = delivery
        schedule(time, .delivery(delivery.number))
        out.items.append(.save(.delivery(delivery)))
        for id in delivery.targets { advance(id, to: .delivering, detail, at: now, into: &out) }
    }

    /// A delivery is sent no more, or will not be: others of its region may be.
    private mutating func release(
        _ delivery: DeliveryRecord, at now: UTCTime, into out: inout DCCOutbox
    ) {
        if delivery.state == .sending { regions[delivery.region]?.busy -= 1 }
        fill(delivery.region, at: now, into: &out)
    }

    /// Begins deliveries that wait for room, while there is some.
    private mutating func fill(_ name: String, at now: UTCTime, into out: inout DCCOutbox) {
        let capacity = max((settings.regions[name] ?? settings.defaultRegion).capacity, 1)
        while let region = regions[name], region.busy < capacity, let next = region.waiting.first {
            regions[name]?.waiting.removeFirst()
            guard let record = deliveries[next], record.state == .waiting else { continue }
            begin(record, at: now, into: &out)
        }
    }

    private mutating func drop(_ delivery: DeliveryRecord, into out: inout DCCOutbox) {
        deliveries[delivery.number] = nil
        out.items.append(.remove(DCCRecord.delivery(delivery).key))
    }

    private mutating func failedAttempt(
        _ delivery: DeliveryRecord, _ reason: String, at now: UTCTime, into out: inout DCCOutbox
    ) {
        let region = settings(of: delivery)
        guard delivery.attempts < region.attempts else {
            ended(delivery, isSuccess: false, reason, at: now, into: &out)
            return
        }
        let next = region.afterOutage(
            UTCTime(secondsSince2000: now.secondsSince2000 &+ max(region.retryInterval, 1)))
        postpone(delivery, to: next, "\(reason); the next attempt is at \(next.text)", now, &out)
        release(delivery, at: now, into: &out)
    }

    /// A hub has answered: N60 or N61, in releases that have them.
    private mutating func ended(
        _ delivery: DeliveryRecord, isSuccess: Bool, _ detail: String, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        drop(delivery, into: &out)
        if let update = updates[delivery.request] {
            for id in delivery.targets {
                // One that is under another update by now is nobody's business here.
                guard let target = targets[id], target.request == delivery.request,
                    !(isSuccess && target.isDone)
                else { continue }
                var notice: UInt64?
                if let device = devices[id], tellsOfDelivery(to: device.type, at: now) {
                    notice = alert(
                        delivery.request.originator, isSuccess ? .delivered : .notDelivered,
                        .deliveryStatus(
                            request: delivery.request, hub: delivery.hub, device: id,
                            version: update.version, time: now, isSuccess: isSuccess),
                        at: now, request: delivery.request, device: id, into: &out)
                }
                advance(
                    id, to: isSuccess ? .deliveredToHub : .deliveryFailed, detail, notice: notice,
                    at: now, into: &out)
                observeEarly(of: id, at: now, into: &out)
            }
        }
        release(delivery, at: now, into: &out)
    }

    private func tellsOfDelivery(to type: InventoryType, at now: UTCTime) -> Bool {
        let release = settings.releases.release(at: now)
        return switch type {
        case .ppmid, .hcalcs: release >= .hanDevices
        default: release >= .tracking
        }
    }

    // MARK: - From the hub's WAN

    /// What comes from a hub; `hub` is its CHF's id.
    public mutating func receive(
        _ message: HubMessage, from hub: EUI64, at now: UTCTime, into out: inout DCCOutbox
    ) {
        switch message {
        case .stored(let number):
            if let delivery = deliveries[number] {
                // Also between two attempts: that it has come counts, whenever it has.
                guard delivery.hub == hub, delivery.attempts > 0 else { break }
                ended(delivery, isSuccess: true, "the hub has the image", at: now, into: &out)
            } else {
                storedLate(number, in: hub, at: now, into: &out)
            }
        case .refused(let number, let reason):
            guard deliveries[number] != nil else {
                thrownOut(number, by: hub, reason, at: now, into: &out)
                break
            }
            guard let delivery = sending(number, hub) else { break }
            ended(
                delivery, isSuccess: false, "the hub refuses the image: \(reason)", at: now,
                into: &out)
        case .unreachable(let number):
            guard let delivery = sending(number, hub) else { break }
            failedAttempt(delivery, "the hub cannot be reached", at: now, into: &out)
        case .sent: break
        case .message(let bytes): hear(bytes, from: hub, at: now, into: &out)
        }
        finish(&out)
    }

    /// The delivery of that number, if it is that hub's and on its way.
    private func sending(_ number: UInt32, _ hub: EUI64) -> DeliveryRecord? {
        guard let delivery = deliveries[number], delivery.hub == hub, delivery.state == .sending
        else { return nil }
        return delivery
    }

    // MARK: - Out of order

    /// A device's word shows that its hub has an update's image. If that was not known, the hub's
    /// own word was lost, or is behind: first things first.
    mutating func arrived(
        _ id: EUI64, where fits: (UInt32, String) -> Bool, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        if let target = targets[id], !target.isDone, let update = updates[target.request],
            fits(update.fileVersion, update.hash)
        {
            // Of one that has not begun it can only be an earlier one's image.
            guard target.status <= .delivering, let delivery = delivery(of: target),
                delivery.attempts > 0
            else { return }
            if delivery.state == .sending {
                out.items.append(.abandon(delivery: delivery.number, hub: delivery.hub))
            }
            ended(
                delivery, isSuccess: true, "the hub has the image, as the device says", at: now,
                into: &out)
        } else if let former = formers[id], former.status == .deliveryFailed,
            fits(former.fileVersion, former.hash),
            let number = former.delivery, let hub = devices[id]?.hub
        {
            storedLate(number, in: hub, at: now, into: &out)
        }
    }

    private func delivery(of target: TargetRecord) -> DeliveryRecord? {
        if let number = target.delivery { return deliveries[number] }
        // Kept by an earlier version.
        return deliveries.values.first {
            $0.request == target.request && $0.targets.contains(target.device)
        }
    }

    /// A hub has an image whose users were told that it did not come (N61): they are told so, and
    /// what its devices do with it is their updates'.
    private mutating func storedLate(
        _ number: UInt32, in hub: EUI64, at now: UTCTime, into out: inout DCCOutbox
    ) {
        let late = formers.values.filter {
            $0.delivery == number && $0.status == .deliveryFailed && devices[$0.device]?.hub == hub
        }
        for former in late.sorted(by: { $0.device < $1.device }) {
            var notice: UInt64?
            if let device = devices[former.device], tellsOfDelivery(to: device.type, at: now) {
                notice = alert(
                    former.request.originator, .delivered,
                    .deliveryStatus(
                        request: former.request, hub: hub, device: device.id,
                        version: Hex.string(UInt64(former.fileVersion), digits: 8), time: now,
                        isSuccess: true), at: now, request: former.request, device: device.id,
                    into: &out)
            }
            advance(
                former.device, of: former.request, to: .deliveredToHub,
                "the hub has the image after all", notice: notice, at: now, into: &out)
        }
    }

    /// A hub that sends no CCS08 throws out an image that it had. Devices that have it by then do
    /// not mind.
    private mutating func thrownOut(
        _ number: UInt32, by hub: EUI64, _ reason: String, at now: UTCTime,
        into out: inout DCCOutbox
    ) {
        let waiting = targets.values.filter {
            $0.delivery == number && !$0.isDone && $0.status > .delivering
                && $0.status < .transferred && devices[$0.device]?.hub == hub
        }
        for target in waiting.sorted(by: { $0.device < $1.device }) {
            fail(
                target, "the hub has thrown the image out before the device had it: \(reason)",
                at: now, into: &out)
        }
    }

    /// A device was struck off its hub's log: no image reaches it any more.
    mutating func struckOff(_ id: EUI64, at now: UTCTime, into out: inout DCCOutbox) {
        guard let target = targets[id], !target.isDone else { return }
        let words = "the device was struck off its hub's log"
        if target.status < .transferred {
            withdraw([id], at: now, into: &out)
            fail(target, words, at: now, into: &out)
        } else if target.status.isFinal {
            end(target, at: now, into: &out)
        } else {
            advance(id, to: .notActivated, words, at: now, into: &out)
        }
    }

    /// Nothing comes of an update of a device that does not have its image. Its user is told.
    private mutating func fail(
        _ target: TargetRecord, _ words: String, at now: UTCTime, into out: inout DCCOutbox
    ) {
        let notice = alert(
            target.request.originator, .distributionFailure,
            .firmwareDistributionFailure(request: target.request, devices: [target.device]),
            at: now, request: target.request, device: target.device, into: &out)
        advance(
            target.device, to: target.status > .delivering ? .transferFailed : .deliveryFailed,
            words, notice: notice, at: now, into: &out)
    }

    /// Devices are taken off the deliveries that were to bring their images, as far as these are
    /// not over. Others begin only when all have been: they may be of the same update.
    mutating func withdraw(_ ids: [EUI64], at now: UTCTime, into out: inout DCCOutbox) {
        var names: Set<String> = []
        for id in ids {
            guard let target = targets[id], var delivery = delivery(of: target) else { continue }
            delivery.targets.removeAll { $0 == id }
            guard delivery.targets.isEmpty else {
                deliveries[delivery.number] = delivery
                out.items.append(.save(.delivery(delivery)))
                continue
            }
            drop(delivery, into: &out)
            names.insert(delivery.region)
            guard delivery.state == .sending else { continue }
            out.items.append(.abandon(delivery: delivery.number, hub: delivery.hub))
            regions[delivery.region]?.busy -= 1
        }
        for name in names.sorted() { fill(name, at: now, into: &out) }
    }
}
