import { type ReactNode, useId } from "react";
import styles from "./panel.module.css";

interface PanelProps {
  readonly title: string;
  /** Beside the title, in soft letters. */
  readonly note?: ReactNode;
  /** On the right of the title. */
  readonly actions?: ReactNode;
  /** Hidden while the page is too narrow for both. */
  readonly chosen: boolean;
  readonly children: ReactNode;
}

export function Panel({ title, note, actions, chosen, children }: PanelProps) {
  const id = useId();
  return (
    <section className={styles["panel"]} data-chosen={chosen} aria-labelledby={id}>
      <div className={styles["head"]}>
        <h2 id={id}>{title}</h2>
        {note !== undefined && <span className={styles["note"]}>{note}</span>}
        {actions !== undefined && <div className={styles["actions"]}>{actions}</div>}
      </div>
      {children}
    </section>
  );
}
