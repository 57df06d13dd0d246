import Synchronization

/// A queue of work for each connection of a server: done in order within one, and beside the
/// others, so that a peer that takes its answers slowly delays nobody else.
public final class ConnectionQueues<Item: Sendable>: Sendable {
  private struct Queue: Sendable {
    var connection: ConnectionID
    var items: AsyncStream<Item>
  }

  private let itemsMax: Int
  private let open = Guarded<[ConnectionID: AsyncStream<Item>.Continuation]>([:])
  private let queues: AsyncStream<Queue>
  private let door: AsyncStream<Queue>.Continuation

  /// - Parameter itemsMax: that wait on one connection.
  public init(itemsMax: Int) {
    self.itemsMax = itemsMax
    (queues, door) = AsyncStream.makeStream()
  }

  /// False: as many wait there as may; this one was not taken.
  public func put(_ item: Item, on connection: ConnectionID) -> Bool {
    let queue = open.withLock { open in
      if let queue = open[connection] { return queue }
      let (items, queue) = AsyncStream<Item>.makeStream(
        bufferingPolicy: .bufferingOldest(itemsMax))
      open[connection] = queue
      door.yield(Queue(connection: connection, items: items))
      return queue
    }
    if case .enqueued = queue.yield(item) { return true }
    return false
  }

  /// The connection has ended: what waits there is done, nothing more is taken.
  func end(_ connection: ConnectionID) {
    open.withLock { $0.removeValue(forKey: connection) }?.finish()
  }

  /// Does a server's work until its socket is closed.
  ///
  /// - Parameters:
  ///   - take: is handed each message, in order, and puts what follows from it into a queue.
  ///   - left: hears of a connection that has ended.
  ///   - work: does what waits on a connection.
  public func serve(
    _ server: MessageServer, take: @Sendable (Incoming) async -> Void,
    left: @Sendable (ConnectionID) async -> Void = { _ in },
    work: @escaping @Sendable (Item, ConnectionID) async -> Void
  ) async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.run(work) }
      while let event = await server.events.next() {
        switch event {
        case .message(let incoming): await take(incoming)
        case .closed(let connection):
          end(connection)
          await left(connection)
        // It asks again when it is back.
        case .undeliverable(let connection, _): end(connection)
        }
      }
      finish()
      group.cancelAll()
    }
  }

  /// Works until all of it was finished.
  func run(_ work: @escaping @Sendable (Item, ConnectionID) async -> Void) async {
    await withDiscardingTaskGroup { group in
      for await queue in queues {
        group.addTask { for await item in queue.items { await work(item, queue.connection) } }
      }
    }
  }

  func finish() {
    door.finish()
    for queue in open.withLock({ $0.values }) { queue.finish() }
  }
}
